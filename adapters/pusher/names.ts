/**
 * Local channels <-> channel names at Pusher. A name is readable, legal (`A-Z a-z 0-9 _ - = @ , . ;`, 164 characters with
 * its prefix) and belongs to one channel of one namespace:
 *
 * ```
 * private-shop;Order,42           the fixed name of Order/42
 * private-shop;Order,42;3lxe6     its name in one period
 * private-shop;;<hash>            the fixed name of a channel whose own would be too long
 * private-shop;;<hash>;3lxe6      its name in one period
 * ```
 *
 * `;` is never part of a namespace or of an escaped channel, so the parts cannot run into each other, and since no channel
 * is empty, no plain name equals a hashed one.
 */
import { createHash } from 'node:crypto';
import type { Channel } from '../channel.js';
import { qualify } from '../channel.js';

/** Pusher's limit, the prefix included (its Node SDK would let 200 pass). */
export const MAX_PUSHER_NAME = 164;
const PREFIX = 'private-';
/** Room for `;` and the number of a period in base 36: enough for more years than this code will see. */
const PERIOD_ROOM = 8;

/**
 * How long one set of names is in use, in milliseconds. A subscribed channel is never checked again while its socket
 * lives, so this is what ends delivery to a page that keeps a socket after its right has ended. Shorter: more requests to
 * `/auth` (one for each page and period). Longer: a later end.
 */
export const PERIOD_MS = 300_000;
/** How long before the end of a period the names of the next one are signed, so that pages subscribe to them in time. */
export const LEAD_MS = 60_000;
/** How long the names of a period stay subscribed after its end: the clocks of two nodes may differ, and a publish is under way. */
export const SKEW_MS = 30_000;

/** Beginnings by which Pusher would take a private channel for one of another kind. */
const OTHER_KIND = /^(encrypted-|cache-)/;

/**
 * Everything outside Pusher's characters. `:` and `/` are those of the grammar (names hold them escaped), `*` is the one
 * of `Order/*`, and `@` within a name is always escaped.
 */
function escapeChannel(channel: Channel): string {
  return channel
    .replaceAll('/', ',')
    .replaceAll('*', '@')
    .replaceAll('%', '=')
    .replace(/[!~'()]/g, (character) => `=${character.charCodeAt(0).toString(16).toUpperCase()}`);
}

function unescapeChannel(text: string): Channel {
  return text
    .replace(/=(21|7E|27|28|29)/g, (_all, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
    .replaceAll('=', '%')
    .replace(/,@$/, '/*')
    .replaceAll(',', '/');
}

function prefixOf(namespace: string): string {
  // A `=` is in no namespace, so the two cases stay apart.
  return `${PREFIX}${OTHER_KIND.test(namespace) ? '=' : ''}${namespace};`;
}

/** Whether the name of a channel holds only its hash. */
export function isHashed(namespace: string, channel: Channel): boolean {
  return prefixOf(namespace).length + escapeChannel(channel).length + PERIOD_ROOM > MAX_PUSHER_NAME;
}

/** The fixed name of a channel, for clients that do not know of periods. */
export function fixedName(namespace: string, channel: Channel): string {
  const name = isHashed(namespace, channel)
    ? `;${createHash('sha256').update(qualify(namespace, channel)).digest('base64url')}`
    : escapeChannel(channel);
  return prefixOf(namespace) + name;
}

/** The name of a channel in one period. */
export function periodName(namespace: string, channel: Channel, period: number): string {
  return `${fixedName(namespace, channel)};${period.toString(36)}`;
}

export function periodAt(now: number): number {
  return Math.floor(now / PERIOD_MS);
}

/** The periods whose names are signed at a moment; `endsIn` is negative for one that is over and may still be published to. */
export function periodsAt(now: number): readonly { readonly period: number; readonly endsIn: number }[] {
  const period = periodAt(now);
  const endsIn = (period + 1) * PERIOD_MS - now;
  const sinceStart = PERIOD_MS - endsIn;
  return [
    ...(sinceStart < SKEW_MS ? [{ period: period - 1, endsIn: -sinceStart }] : []),
    { period, endsIn },
    ...(endsIn <= LEAD_MS ? [{ period: period + 1, endsIn: endsIn + PERIOD_MS }] : []),
  ];
}

/**
 * The channel of a fixed name.
 *
 * @throws TypeError that says what is wrong with the name, for the developer of a page.
 */
export function channelOfName(namespace: string, name: string): Channel {
  const prefix = prefixOf(namespace);
  if (!name.startsWith(prefix)) {
    throw new TypeError(`channel_name: ${quote(name)} must begin with "${prefix}"`);
  }
  const rest = name.slice(prefix.length);
  if (rest.startsWith(';')) {
    throw new TypeError(
      `channel_name: ${quote(name)} stands for a name that is too long for Pusher; only the client of notify-listen can listen to it`,
    );
  }
  if (rest.includes(';')) {
    throw new TypeError(`channel_name: ${quote(name)} is a name of one period; subscribe to it without its last part`);
  }
  const channel = unescapeChannel(rest);
  if (rest === '' || escapeChannel(channel) !== rest) {
    throw new TypeError(`channel_name: ${quote(name)} is no name of an object; write "${prefix}Order,42"`);
  }
  if (isHashed(namespace, channel)) {
    throw new TypeError(
      `channel_name: the object's name is too long for Pusher; only the client of notify-listen can listen to it`,
    );
  }
  return channel;
}

/** What a page sent, cut to what belongs into a message. */
function quote(text: string): string {
  return JSON.stringify(text.slice(0, MAX_PUSHER_NAME));
}

/** Beginnings that Pusher keeps to itself, and our own mark. */
const RESERVED = /^(pusher:|pusher_internal:|client-|!)/;

/** The name of an event: the action, with `!` in front of one that begins as Pusher's own events do (or with `!`). */
export function eventName(action: string): string {
  return RESERVED.test(action) ? `!${action}` : action;
}
