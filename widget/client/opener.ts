/**
 * Makes links: chooses the adapter, and hands them to the tabs of this browser where those share a connection. What makes
 * links of a provider or of a shared connection is loaded when it is wanted.
 */
import type { ClientAdapter, Link, LinkHost } from '../../adapters/contract.js';
import { ListenError } from '../../adapters/errors.js';
import type { ProviderClientAdapter } from '../../adapters/provider.js';
import type { Core } from './core.js';
import { DEV } from './dev.js';
import type { Hosted } from './hosted.js';
import type { Tabs } from './tabs.js';
import type { ListenClientOptions, TabsChannel, TabsWorld } from './types.js';

/** The first one is the fallback, which needs nothing but our own server: the built-in SSE. */
export type Adapters = readonly [ClientAdapter, ...(ClientAdapter | ProviderClientAdapter)[]];

/** How a link is made. It may have ended before this returns; whoever made it then closes it. */
export type OpenLink = (host: LinkHost) => Link;

/** Returns how to make links, how to begin to load what the first one needs, and how to end what links share. */
export function createOpener(core: Core, adapters: Adapters): [open: OpenLink, warm: () => void, close: () => void] {
  const [fallback] = adapters;
  const surroundings = tabsOf(core.options);
  /** Makes the links of a provider: they share one connection. */
  let hosted: Hosted | undefined;
  /** Makes links over the connection that all tabs share. */
  let tabs: Tabs | undefined;
  let loading: Promise<unknown> | undefined;
  /** The adapter that was missed last, so that it is reported once. */
  let missed: string | undefined;
  let counted = false;

  /** A link of this tab's own. */
  function openDirect(host: LinkHost): Link {
    const { provider } = host.config;
    const named = adapters.find(({ name }) => name === provider);
    const adapter = named ?? fallback;
    if (!named && missed !== provider) {
      missed = provider;
      const help = DEV
        ? `the server is configured for "${provider}", which this page does not have; it uses ${fallback.name}. Add it: ` +
          `import { ${provider} } from 'notify-listen/adapters/${provider}/client', adapters: [${provider}()]`
        : `no adapter ${provider}`;
      core.report(new ListenError('configuration', help));
    }
    if ('open' in adapter) {
      hosted?.close();
      return adapter.open(host.interest(), host);
    }
    return later(
      import('./hosted.js'),
      (chunk) => {
        hosted ??= chunk.hosted(fallback, core);
        return hosted.open(host.interest(), host, adapter);
      },
      // Without its chunk this link is one of the fallback; the next one tries again.
      (error) => {
        core.report(error);
        return fallback.open(host.interest(), host);
      },
    );
  }

  function warm(): void {
    if (loading) return;
    if (surroundings)
      loading = import('./tabs.js').then((chunk) => {
        tabs = chunk.createTabs(core, surroundings, openDirect);
      });
    else if (DEV && core.options.tabs === undefined && !core.options.world && !counted) {
      counted = true;
      void import('./alone.js').then(({ countTabs }) => countTabs(), core.report);
    }
  }

  return [
    (host) =>
      loading
        ? later(
            loading,
            () => (tabs?.open ?? openDirect)(host),
            // Then this link is one of this tab's own; the next one tries again.
            (error) => {
              loading = undefined;
              core.report(error);
              return openDirect(host);
            },
          )
        : openDirect(host),
    warm,
    () => {
      tabs?.close();
      hosted?.close();
    },
  ];
}

/** A link whose code is still being loaded; closed before, it never opens. `otherwise`: when it cannot be. */
function later<T>(loaded: Promise<T>, open: (code: T) => Link, otherwise: (error: unknown) => Link): Link {
  let link: Link | undefined;
  let closed = false;
  const begin = (make: () => Link): void => {
    if (closed) return;
    link = make();
    // It may have ended from inside.
    if (closed) link.close();
  };
  loaded.then((code) => begin(() => open(code))).catch((error) => begin(() => otherwise(error)));
  return {
    get sees() {
      return link?.sees;
    },
    get quiet() {
      return link?.quiet;
    },
    close() {
      closed = true;
      link?.close();
    },
  };
}

/** The browser's locks and channels, where a page has them. An injected world may be any, so it shares when it is told to. */
function tabsOf({ world, tabs = !world }: ListenClientOptions): TabsWorld | undefined {
  if (typeof tabs === 'object') return tabs;
  if (!tabs || typeof document === 'undefined' || !globalThis.BroadcastChannel) return undefined;
  const locks = globalThis.navigator?.locks;
  // Without a secure context there are none.
  if (locks)
    return {
      request: (name, options, held) => locks.request(name, options, held),
      channel: (name) => new BroadcastChannel(name) as TabsChannel,
    };
  return undefined;
}
