/** One channel of one connection: what it may do there, and what is sent to it. */
import { allows, type Capability } from './capability.js';
import type { Channel, Entry, Subscriber } from './channel.js';
import { AblyError } from './errors.js';
import { ACTION, ALL_MODES, type ErrorInfo, FLAG, MODES, type ProtocolMessage } from './protocol.js';
import type { Rate } from './rates.js';
import { encodeFrame, type Format } from './wire.js';

/** Members in one SYNC. */
const SYNC_PAGE = 100;
/** The most that `rewind` may ask for: messages, and the window. */
const MAX_REWIND = 100;

const MODE_OPERATIONS: readonly (readonly [mode: number, operations: readonly string[]])[] = [
  [FLAG.PRESENCE, ['presence']],
  [FLAG.PUBLISH, ['publish']],
  [FLAG.SUBSCRIBE, ['subscribe']],
  [FLAG.PRESENCE_SUBSCRIBE, ['subscribe', 'presence-subscribe']],
  [FLAG.ANNOTATION_PUBLISH, ['annotation-publish']],
];

/** The modes that a capability allows on a channel, of those that were asked for. */
export function grantedModes(capability: Capability, channel: string, asked: number): number {
  return MODE_OPERATIONS.reduce((granted, [mode, operations]) => {
    const may = operations.some((operation) => allows(capability, channel, operation));
    return may ? granted | (asked & mode) : granted;
  }, 0);
}

/** The modes that an ATTACH asks for: by the parameter `modes`, by flags, or the usual ones. */
export function askedModes(flags: number, params: Readonly<Record<string, string>>): number {
  const named = (params.modes ?? '').split(',').reduce((sum, name) => {
    const mode = (FLAG as Readonly<Record<string, number>>)[name.trim().replace('-', '_').toUpperCase()] ?? 0;
    return sum | (mode & ALL_MODES);
  }, 0);
  return named || flags & ALL_MODES || MODES;
}

/** The parameters that are known, and told back; `delta` has no effect: messages are sent whole. */
const KNOWN_PARAMS: ReadonlySet<string> = new Set(['modes', 'rewind', 'delta', 'occupancy']);

export function knownParams(params: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(params).filter(([name]) => KNOWN_PARAMS.has(name)));
}

/** `10`: messages; `30s`, `2m`: what is so old at most. @throws AblyError 40003 */
export function readRewind(text: string): { readonly count: number } | { readonly ms: number } {
  const [, number, unit] = /^(\d+)([sm]?)$/.exec(text) ?? [];
  if (number === undefined)
    throw new AblyError(40003, `rewind is a number of messages, of seconds (30s) or of minutes (2m)`);
  if (unit) return { ms: Number(number) * (unit === 'm' ? 60_000 : 1_000) };
  return { count: Math.min(Number(number), MAX_REWIND) };
}

/** What an attachment needs of its connection. */
export interface Carrier {
  readonly connectionId: string;
  readonly format: Format;
  /** Whether it hears what it published itself. */
  readonly echo: boolean;
  readonly outbound: Rate;
  readonly backlog: Rate;
  send(frame: ProtocolMessage): void;
  message(channel: string, frame: string | Uint8Array): void;
  /** Calls back once, when `outbound` has room again. */
  later(run: () => void): void;
}

/** Each entry is written once for all who attached by the channel's plain name. */
const written = new WeakMap<Entry, Map<string, string | Uint8Array>>();

function write(entry: Entry, name: string, format: Format): string | Uint8Array {
  const forms = written.get(entry) ?? new Map<string, string | Uint8Array>();
  written.set(entry, forms);
  const key = `${format} ${name}`;
  const found = forms.get(key);
  if (found !== undefined) return found;
  const { id, serial, connectionId, at, messages, presence } = entry;
  const frame = encodeFrame(format, {
    action: messages ? ACTION.MESSAGE : ACTION.PRESENCE,
    id,
    channel: name,
    channelSerial: serial,
    timestamp: at,
    ...(connectionId !== undefined && { connectionId }),
    ...(messages && { messages }),
    ...(presence && { presence }),
  });
  forms.set(key, frame);
  return frame;
}

export interface Attachment extends Subscriber {
  readonly channel: Channel;
  /** With its qualifier, as the client calls it. */
  readonly name: string;
  readonly asked: number;
  modes: number;
  readonly params: Readonly<Record<string, string>>;
  /** Sends what came before it was attached. */
  replay(entries: readonly Entry[]): void;
  /** Says that it stands. */
  attached(serial: string, flags: number, error?: ErrorInfo): void;
  /** Sends who is present. */
  sync(): void;
}

export function createAttachment(
  carrier: Carrier,
  given: Pick<Attachment, 'channel' | 'name' | 'asked' | 'modes' | 'params'>,
  onSuspended: () => void,
): Attachment {
  const { channel, name, params } = given;
  let signalled = true;

  function send(entry: Entry, rate: Rate): void {
    const isOwn = entry.connectionId === carrier.connectionId;
    const mode = entry.messages ? FLAG.SUBSCRIBE : FLAG.PRESENCE_SUBSCRIBE;
    if (!(attachment.modes & mode) || (entry.messages && isOwn && !carrier.echo)) return;
    if (rate.take(entry.messages?.length ?? 0)) carrier.message(name, write(entry, name, carrier.format));
    else if (signalled) {
      signalled = false;
      carrier.later(() => {
        if (signalled || !channel.subscribers.has(attachment)) return;
        signalled = true;
        attachment.attached(channel.serial(), 0, RATE_EXCEEDED);
      });
    }
  }

  const attachment: Attachment = {
    ...given,
    deliver: (entry) => send(entry, carrier.outbound),
    replay(entries) {
      for (const entry of entries) send(entry, carrier.backlog);
    },
    lost: () => attachment.attached(channel.serial(), 0, CONTINUITY_LOST),
    suspended: onSuspended,
    attached(channelSerial, flags, error) {
      const has = channel.members.list().length > 0 && attachment.modes & FLAG.PRESENCE_SUBSCRIBE;
      carrier.send({
        action: ACTION.ATTACHED,
        channel: name,
        channelSerial,
        flags: flags | attachment.modes | (has ? FLAG.HAS_PRESENCE : 0),
        ...(Object.keys(params).length > 0 && { params }),
        ...(error && { error }),
      });
    },
    sync() {
      if (!(attachment.modes & FLAG.PRESENCE_SUBSCRIBE)) return;
      const members = channel.members.list();
      // The part before the colon names the sync, the one after it where the next page begins: empty at the last.
      const sync = channel.serial().replace(':', '-');
      for (let from = 0; from < members.length; from += SYNC_PAGE) {
        const next = from + SYNC_PAGE;
        const cursor = next < members.length ? String(next) : '';
        const presence = members.slice(from, next);
        carrier.send({ action: ACTION.SYNC, channel: name, channelSerial: `${sync}:${cursor}`, presence });
      }
    },
  };
  return attachment;
}

const RATE_EXCEEDED: ErrorInfo = new AblyError(
  80020,
  'Continuity loss on channel as maximum server-to-client message rate exceeded',
  400,
).info;

/** As when the point that a client had reached is not to be had any more. */
export const CONTINUITY_LOST: ErrorInfo = new AblyError(90003, 'Unable to recover channel (messages expired)', 404)
  .info;
