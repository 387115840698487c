/** The channels that one Ably client holds: joined, left, and which of them carry at the moment. */
import type { AblyChannel, AblyClient, StateChange } from './sdk.js';

export interface ChannelEvents {
  /** One of them became attached. Whether it resumed is not asked: see docs/ably.md, "What is guaranteed". */
  attached(): void;
  /** One that stays attached says that it lost messages. */
  missed(): void;
  /** One carries nothing until it is attached again, by `join`. `failed`: its token does not allow it, or Ably does not. */
  stuck(change: StateChange): void;
  message(data: unknown): void;
}

export interface HeldChannels {
  /** Leaves what is not in the set. */
  keep(names: ReadonlySet<string>): void;
  /** Joins what is new, and tries again what failed. Only while the client is connected. */
  join(names: ReadonlySet<string>): void;
  /** Whether all of these are attached on the connection as it is now. */
  carries(names: ReadonlySet<string>): boolean;
  /** The connection was lost: what looks attached is not, until Ably says so again. */
  lost(): void;
}

/** States from which it attaches only when it is told to; from `suspended` also by itself, after 15 s and more. */
const IDLE: ReadonlySet<string> = new Set(['initialized', 'detached', 'detaching', 'failed', 'suspended']);

const nothing = (): void => {};

export function createChannels(client: AblyClient, events: ChannelEvents): HeldChannels {
  const held = new Map<string, { readonly channel: AblyChannel; leave(): void }>();
  const attached = new Set<string>();
  const hear = ({ data }: { readonly data?: unknown }): void => events.message(data);

  function open(name: string): AblyChannel {
    const channel = client.channels.get(name, { attachOnSubscribe: false });
    const follow = (change: StateChange): void => {
      const { current, previous, resumed } = change;
      if (current === 'attached' && previous === 'attached') {
        if (!resumed) events.missed();
      } else if (current === 'attached') {
        attached.add(name);
        events.attached();
      } else {
        attached.delete(name);
        if (current === 'suspended' || current === 'failed') events.stuck(change);
      }
    };
    const leave = (): void => {
      channel.off(follow);
      channel.unsubscribe(hear);
      attached.delete(name);
      held.delete(name);
      // Released only once it is detached, and only if nobody came back: `release` of a channel that was joined again in
      // the meantime would take it out of the SDK's table, where its messages are then dropped without a word.
      const release = (): void => {
        if (!held.has(name)) client.channels.release(name);
      };
      channel.detach().then(release, release);
    };
    channel.on(follow);
    channel.subscribe(hear).catch(nothing); // cannot fail for want of an attachment: that is `follow`'s
    held.set(name, { channel, leave });
    return channel;
  }

  return {
    keep(names) {
      for (const [name, { leave }] of held) if (!names.has(name)) leave();
    },
    join(names) {
      for (const name of names) {
        const channel = held.get(name)?.channel ?? open(name);
        if (IDLE.has(channel.state)) channel.attach().catch(nothing); // told by `follow`
      }
    },
    carries: (names) => [...names].every((name) => attached.has(name)),
    lost: () => attached.clear(),
  };
}
