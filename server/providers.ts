/**
 * Environment constants -> the adapter of the hosted provider that they choose. The only file of the server that knows of
 * vendors; their packages are loaded by the adapters, with the first use.
 */
import { createAblyAdapter, readAblySettings } from '../adapters/ably/server.js';
import type { ProviderAdapter } from '../adapters/provider.js';
import { createPusherAdapter, readPusherSettings } from '../adapters/pusher/server.js';
import { isInstalled } from './installed.js';

type Env = Readonly<Record<string, string | undefined>>;

/** What the constants choose. */
export interface Choice {
  /** What keeps the provider from being used, each with its fix. */
  readonly mistakes: readonly string[];
  /**
   * Makes the adapter; `undefined` for the built-in SSE. Call it only where there are no mistakes.
   *
   * @param warn told what the provider's account cannot do, once
   */
  create(namespace: string, warn: (message: string) => void): ProviderAdapter | undefined;
}

interface Provider {
  /** The package that the application installs. */
  readonly package: string;
  read(env: Env): {
    readonly mistakes: readonly string[];
    readonly create?: (namespace: string, warn: (message: string) => void) => ProviderAdapter;
  };
}

const PROVIDERS: ReadonlyMap<string, Provider> = new Map([
  [
    'pusher',
    {
      package: 'pusher',
      read(env) {
        const { settings, mistakes } = readPusherSettings(env);
        return {
          mistakes,
          ...(settings && { create: (namespace) => createPusherAdapter({ ...settings, namespace }) }),
        };
      },
    },
  ],
  [
    'ably',
    {
      package: 'ably',
      read(env) {
        const { settings, mistakes } = readAblySettings(env);
        return {
          mistakes,
          ...(settings && { create: (namespace, warn) => createAblyAdapter({ ...settings, namespace, warn }) }),
        };
      },
    },
  ],
] satisfies [string, Provider][]);

/** @param installed tells whether a package can be loaded. Default: looks for it as this package would. */
export function chooseProvider(env: Env, installed: (name: string) => boolean = isInstalled): Choice {
  const provider = PROVIDERS.get(env.NOTIFY_LISTEN_PROVIDER ?? '');
  if (!provider) return { mistakes: [], create: () => undefined };
  const { mistakes, create } = provider.read(env);
  // Found out at the start, and not at the first notification.
  const missing = installed(provider.package)
    ? []
    : [
        `NOTIFY_LISTEN_PROVIDER is "${env.NOTIFY_LISTEN_PROVIDER}", but its package is not installed; run: npm install ${provider.package}`,
      ];
  return { mistakes: [...mistakes, ...missing], create: (namespace, warn) => create?.(namespace, warn) };
}
