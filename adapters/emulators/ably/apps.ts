/** Apps with their keys, namespaces and limits; and the provisioner's contract that the vendor's test suites use. */
import type { EmulatorWorld } from '../emulator.js';
import { type Capability, capabilityText, EVERYTHING, parseCapability } from './capability.js';
import { type Channel, createChannel } from './channel.js';
import { AblyError } from './errors.js';
import { randomName } from './names.js';
import type { WirePresence } from './protocol.js';
import { type AblyLimits, createRate, type Rate } from './rates.js';

/** Provisioned apps at a time; the vendor's suite makes one for each of its files. */
const MAX_APPS = 1_000;
/** Channels from which on those that nobody uses are forgotten; then again at each doubling. */
const SWEEP = 1_000;

export interface Key {
  /** `appId.keyId`. */
  readonly name: string;
  readonly secret: string;
  readonly capability: Capability;
  /** Its tokens can be revoked, and live an hour at most. */
  readonly revocable: boolean;
}

export interface App {
  readonly id: string;
  readonly keys: Map<string, Key>;
  /** Channels whose name begins with one of these and a colon keep their history. */
  readonly persisted: ReadonlySet<string>;
  readonly limits: AblyLimits;
  readonly channels: Map<string, Channel>;
  readonly connects: Rate;
  readonly requests: Rate;
  /** The channel of this name, made when it is new. */
  channel(name: string): Channel;
}

/** What is sent to `POST /apps`. */
export interface AppSpec {
  readonly keys?: readonly { readonly capability?: unknown; readonly revocableTokens?: boolean }[];
  readonly namespaces?: readonly { readonly id: string; readonly persisted?: boolean }[];
  readonly channels?: readonly { readonly name: string; readonly presence?: readonly Partial<WirePresence>[] }[];
  readonly limits?: { readonly presence?: { readonly maxMembers?: number } };
}

/** @throws TypeError when it is not `appId.keyId:secret` */
export function parseKey(text: string): { readonly appId: string; readonly name: string; readonly secret: string } {
  const found = /^(([^.:]+)\.[^.:]+):(.+)$/.exec(text);
  if (!found) throw new TypeError(`an Ably key is written appId.keyId:secret, not ${JSON.stringify(text)}`);
  return { appId: found[2] ?? '', name: found[1] ?? '', secret: found[3] ?? '' };
}

export interface Apps {
  get(id: string): App | undefined;
  add(id: string, keys: readonly Key[], persisted: readonly string[], limits: AblyLimits): App;
  /** Makes one with random names, as `POST /apps` does; answers what that answers, but for the address. */
  provision(spec: AppSpec): Record<string, unknown>;
  remove(id: string): boolean;
  all(): Iterable<App>;
}

export function createApps(world: EmulatorWorld, limits: AblyLimits): Apps {
  const apps = new Map<string, App>();

  function add(id: string, keys: readonly Key[], persisted: readonly string[], own: AblyLimits): App {
    const channels = new Map<string, Channel>();
    let sweepAt = SWEEP;
    const app: App = {
      id,
      keys: new Map(keys.map((key) => [key.name, key])),
      persisted: new Set(persisted),
      limits: own,
      channels,
      connects: createRate(own.connectionRate, world),
      requests: createRate(own.requestRate, world),
      channel(name) {
        const found = channels.get(name);
        if (found) return found;
        if (channels.size >= sweepAt) {
          for (const [other, channel] of channels) if (channel.idle()) channels.delete(other);
          sweepAt = Math.max(SWEEP, 2 * channels.size);
        }
        const made = createChannel(name, {
          persisted: app.persisted.has(name.split(':')[0] ?? ''),
          limits: own,
          world,
        });
        channels.set(name, made);
        return made;
      },
    };
    apps.set(id, app);
    return app;
  }

  return {
    get: (id) => apps.get(id),
    add,
    provision(spec) {
      if (apps.size >= MAX_APPS) throw new AblyError(40300, `more than ${MAX_APPS} apps`);
      const appId = randomName(6);
      const keys = (spec.keys ?? [{}]).map((key) => ({
        name: `${appId}.${randomName(6)}`,
        secret: randomName(32),
        capability: key.capability === undefined ? EVERYTHING : parseCapability(key.capability),
        revocable: key.revocableTokens === true,
      }));
      const namespaces = spec.namespaces ?? [];
      const persisted = namespaces.filter((namespace) => namespace.persisted).map((namespace) => namespace.id);
      const presenceMembers = spec.limits?.presence?.maxMembers ?? limits.presenceMembers;
      const app = add(appId, keys, persisted, { ...limits, presenceMembers });
      for (const { name, presence = [] } of spec.channels ?? []) {
        app.channel(name).members.fix(presence);
      }
      return {
        appId,
        accountId: 'emulator',
        keys: keys.map(({ name, secret, capability, revocable }) => ({
          id: name.slice(appId.length + 1),
          keyName: name,
          keySecret: secret,
          keyStr: `${name}:${secret}`,
          capability: capabilityText(capability),
          revocableTokens: revocable,
        })),
        namespaces,
      };
    },
    remove: (id) => apps.delete(id),
    all: () => apps.values(),
  };
}
