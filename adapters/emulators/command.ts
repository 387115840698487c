/** `notify-listen emulate pusher|ably`: reads the command line, starts an emulator, and says how to reach it. */
import { parseArgs } from 'node:util';
import { type AblyEmulatorOptions, startAblyEmulator } from './ably/start.js';
import type { Emulator, FaultSettings } from './emulator.js';
import { SANDBOX_QUOTAS } from './pusher/limits.js';
import { startPusherEmulator } from './pusher/start.js';

/** What the command line asks for is wrong: the message says what, and what would be right. */
export class UsageError extends Error {}

export const USAGE = `Usage: notify-listen emulate pusher|ably [options]

Starts a local server that speaks the provider's protocol, prints the environment
constants with which an application reaches it, and runs until Ctrl-C.

  --port <number>     Default: 6001 (pusher), 6002 (ably). 0 takes any that is free.
  --host <address>    Default: 127.0.0.1, this machine only.
  --faults <json>     Faults from the start on, such as {"delay":500}. See docs/emulators.md.
  --help

pusher:
  --app-id <text>     Default: 1
  --key <text>        Default: local-key
  --secret <text>     Default: local-secret
  --sandbox           The quotas of Pusher's Sandbox plan: 100 connections, 200,000 messages a day.
  --no-client-events  Clients may not trigger events, as in a new app at Pusher.
  --subscription-count
                      Subscribers are told how many they are; in a new app at Pusher they are not.

ably:
  --key <text>        Default: local0.emulat:emulator-secret
  --plan <name>       Whose limits hold: free, standard (the default) or pro.
  --no-revocable-tokens
                      Tokens of the key cannot be revoked, as in a new app at Ably.
`;

/** What an emulator's own options make of the command line. */
type Flags = Readonly<Record<string, string | boolean | undefined>>;

interface Provider {
  readonly port: number;
  readonly flags: Readonly<Record<string, { readonly type: 'string' | 'boolean' }>>;
  start(shared: Shared, flags: Flags): Promise<Emulator>;
}

interface Shared {
  readonly port: number;
  readonly host: string;
  readonly faults: Partial<FaultSettings>;
}

const text = { type: 'string' } as const;
const flag = { type: 'boolean' } as const;
const SHARED_FLAGS = { port: text, host: text, faults: text, help: flag } as const;

const PROVIDERS: Readonly<Record<string, Provider>> = {
  pusher: {
    port: 6001,
    flags: {
      'app-id': text,
      key: text,
      secret: text,
      sandbox: flag,
      'no-client-events': flag,
      'subscription-count': flag,
    },
    start: (shared, flags) =>
      startPusherEmulator({
        ...shared,
        ...named('appId', flags['app-id']),
        ...named('key', flags.key),
        ...named('secret', flags.secret),
        ...(flags.sandbox && { quotas: SANDBOX_QUOTAS }),
        clientEvents: !flags['no-client-events'],
        subscriptionCount: flags['subscription-count'] === true,
      }),
  },
  ably: {
    port: 6002,
    flags: { key: text, plan: text, 'no-revocable-tokens': flag },
    start: (shared, flags) =>
      startAblyEmulator({
        ...shared,
        ...named('key', flags.key),
        ...(flags.plan !== undefined && { plan: planOf(flags.plan) }),
        revocableTokens: !flags['no-revocable-tokens'],
      }),
  },
};

const named = (name: string, value: string | boolean | undefined): Record<string, string> =>
  typeof value === 'string' ? { [name]: value } : {};

function planOf(given: string | boolean): NonNullable<AblyEmulatorOptions['plan']> {
  if (given === 'free' || given === 'standard' || given === 'pro') return given;
  throw new UsageError(`--plan is free, standard or pro, not ${given}.`);
}

/**
 * Starts what the arguments ask for.
 *
 * @param args without the program and its script
 * @returns the emulator; `undefined` when only help was asked for
 * @throws UsageError for arguments that cannot be meant, and what `listen` of Node rejects with.
 */
export async function emulate(args: readonly string[]): Promise<Emulator | undefined> {
  const [command, name, ...rest] = args;
  if (args.includes('--help') || args.includes('-h') || args.length === 0) return undefined;
  if (command !== 'emulate') throw new UsageError(`There is no command "${command}": there is emulate.`);
  const provider = name !== undefined && Object.hasOwn(PROVIDERS, name) ? PROVIDERS[name] : undefined;
  if (!provider) {
    const known = Object.keys(PROVIDERS).join(' or ');
    throw new UsageError(`emulate ${known}: ${name === undefined ? 'the provider is missing.' : `"${name}" is none.`}`);
  }
  const flags = read(rest, provider);
  const shared = {
    port: portOf(flags.port, provider.port),
    host: typeof flags.host === 'string' ? flags.host : '127.0.0.1',
    faults: faultsOf(flags.faults),
  };
  try {
    return await provider.start(shared, flags);
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message);
    throw error;
  }
}

function read(args: readonly string[], provider: Provider): Flags {
  try {
    return parseArgs({ args: [...args], options: { ...SHARED_FLAGS, ...provider.flags }, strict: true }).values;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function portOf(given: string | boolean | undefined, otherwise: number): number {
  if (given === undefined) return otherwise;
  if (typeof given === 'string' && /^\d{1,5}$/.test(given) && Number(given) <= 65_535) return Number(given);
  throw new UsageError(`--port is a number from 0 to 65535, not "${given}".`);
}

function faultsOf(given: string | boolean | undefined): Partial<FaultSettings> {
  if (given === undefined) return {};
  try {
    const faults: unknown = JSON.parse(String(given));
    if (typeof faults === 'object' && faults !== null && !Array.isArray(faults)) return faults;
  } catch {}
  throw new UsageError(`--faults is a JSON object such as {"delay":500}, not ${given}.`);
}
