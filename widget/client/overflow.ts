/**
 * What a provider cannot hold on one connection, over our own server: inside the same link. Loaded by pages that listen to that much.
 */
import type { Channel } from '../../adapters/channel.js';
import type { ClientAdapter, Link, LinkHost } from '../../adapters/contract.js';
import type { Position } from '../../adapters/position.js';
import type { ServerEvent } from '../../adapters/protocol.js';
import { createTimer } from './timer.js';

/** How often it is looked whether the stream is silent, in milliseconds. */
const LOOK = 5_000;
/** A stream that is silent for longer is dead, in milliseconds: above a long poll, and above two heartbeats beside it. */
const SILENCE = 35_000;

/**
 * Opens an SSE link for `channels` only; its end is that of the outer link. Its positions say nothing of the channels at
 * the provider, so the core is not told of them: all bases move with the reads of the outer link.
 *
 * @param ask asks for a read of the outer link
 */
export function overflow(
  sse: ClientAdapter,
  channels: readonly Channel[],
  host: LinkHost,
  ask: (within: number) => void,
): Link {
  const { world } = host;
  /** Up to where it was read here. */
  let position: Position | undefined;
  let heard = world.monotonic();
  let silence = SILENCE;
  const interest = () => {
    const { grants, channels: bases, own } = host.interest();
    const mine = channels.filter((channel) => channel in bases);
    return {
      grants,
      own: position ?? own,
      channels: Object.fromEntries(mine.map((channel) => [channel, position ?? bases[channel] ?? null])),
    };
  };
  const [lookIn, stopLooking] = createTimer(world, look);
  function look(): void {
    if (world.monotonic() - heard > silence) host.down();
    else lookIn(LOOK);
  }

  function event(event: ServerEvent, id?: Position): void {
    heard = world.monotonic();
    const was = position;
    if (event.type === 'ready' || (event.type === 'heartbeat' && was)) position = event.position ?? was;
    else if (was) position = id ?? was;
    if (event.type === 'hello') silence = Math.max(SILENCE, 2 * event.heartbeat + 5_000);
    else if (event.type === 'heartbeat') {
      if (event.degraded) host.event({ type: 'heartbeat', degraded: true, spread: event.spread });
    } else if (event.type !== 'ready') host.event(event);
    // A channel without a position is read from here on: what came before that is in the next read.
    else ask(0);
  }

  look();
  const link = sse.open(interest(), {
    ...host,
    interest,
    alive() {
      heard = world.monotonic();
    },
    via() {},
    event,
  });
  return {
    close() {
      stopLooking();
      link.close();
    },
  };
}
