/** The channels of one connection: attaching them, and what a client may do there with the capability that it has now. */
import {
  type Attachment,
  askedModes,
  type Carrier,
  CONTINUITY_LOST,
  createAttachment,
  grantedModes,
  knownParams,
  readRewind,
} from './attachment.js';
import type { Caller } from './auth.js';
import type { Backlog, Channel } from './channel.js';
import { AblyError } from './errors.js';
import { ACTION, type ErrorInfo, FLAG, type ProtocolMessage } from './protocol.js';
import { readChannelName } from './publishing.js';

const SUSPENDED: ErrorInfo = new AblyError(50001, 'the channel is not available', 500).info;

export interface Attachments {
  /** By the name that the client gave, with its qualifier. */
  readonly held: ReadonlyMap<string, Attachment>;
  /** Takes an ATTACH, and sends everything that follows from it. @throws AblyError 40010, 40160, 90010, 40003 */
  attach(frame: ProtocolMessage, caller: Caller): void;
  release(name: string): void;
  releaseAll(): void;
  /** Another capability holds from now on: modes change, and channels that are not allowed any more fail. */
  restrict(caller: Caller): void;
  /** The channel, if the client attached it in this mode, or not at all. @throws AblyError 40160, 40165, 40010 */
  open(name: string | undefined, caller: Caller, operation: string, mode: number): Channel;
}

export function createAttachments(carrier: Carrier): Attachments {
  const held = new Map<string, Attachment>();
  const { send } = carrier;

  function release(name: string): void {
    const attachment = held.get(name);
    held.delete(name);
    attachment?.channel.leave(attachment);
  }

  return {
    held,
    release,
    releaseAll() {
      for (const name of [...held.keys()]) release(name);
    },
    attach({ channel: name = '', flags = 0, channelSerial, params: given }, caller) {
      const { base, params: own } = readChannelName(name);
      const params = { ...own, ...given };
      const channel = caller.app.channel(base);
      if (channel.refusals > 0) {
        channel.refusals--;
        return void send({ action: ACTION.DETACHED, channel: name, error: SUSPENDED });
      }
      const most = caller.app.limits.channelsPerConnection;
      if (!held.has(name) && held.size >= most)
        throw new AblyError(90010, `Maximum number of channels per connection (${most}) exceeded`, 400);
      const asked = askedModes(flags, params);
      const modes = grantedModes(caller.capability, base, asked);
      if (modes === 0)
        throw new AblyError(40160, `Channel denied access based on given capability; channelId = ${base}`, 401);
      // Only a first attach rewinds: one that comes again would hear the same once more.
      const isFirst = channelSerial === undefined && !held.has(name) && !(flags & FLAG.ATTACH_RESUME);
      const rewind = isFirst && params.rewind !== undefined ? readRewind(params.rewind) : undefined;
      release(name);
      const attachment = createAttachment(carrier, { channel, name, asked, modes, params: knownParams(params) }, () => {
        release(name);
        send({ action: ACTION.DETACHED, channel: name, error: SUSPENDED });
      });
      held.set(name, attachment);
      channel.join(attachment);
      const now: Backlog = { serial: channel.serial(), entries: [], whole: false };
      const resuming = channelSerial !== undefined;
      const from = resuming ? channel.after(channelSerial) : rewind ? channel.rewind(rewind) : now;
      const bits = (from.whole ? FLAG.RESUMED : 0) | (from.entries.length > 0 ? FLAG.HAS_BACKLOG : 0);
      attachment.attached(from.serial, bits, resuming && !from.whole ? CONTINUITY_LOST : undefined);
      attachment.replay(from.entries);
      attachment.sync();
    },
    restrict(caller) {
      for (const [name, attachment] of [...held]) {
        const modes = grantedModes(caller.capability, attachment.channel.name, attachment.asked);
        if (modes === 0) {
          release(name);
          const { info } = new AblyError(40160, `the new capability does not allow ${name}`, 401);
          send({ action: ACTION.ERROR, channel: name, error: info });
        } else if (modes !== attachment.modes) {
          attachment.modes = modes;
          attachment.attached(attachment.channel.serial(), FLAG.RESUMED);
        }
      }
    },
    open(name, caller, operation, mode) {
      const { base } = readChannelName(name);
      const attachment = held.get(name ?? '');
      if (!grantedModes(caller.capability, base, mode))
        throw new AblyError(40160, `the capability does not allow ${operation} on ${base}`, 401);
      if (attachment && !(attachment.asked & mode))
        throw new AblyError(40165, `the channel was attached without the mode for ${operation}`, 401);
      return caller.app.channel(base);
    },
  };
}
