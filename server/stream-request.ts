/** What a request to `/stream` asks for, read from a body or from a query, and checked. */
import { type Channel, objectOf } from '../adapters/channel.js';
import { isPosition, type Position } from '../adapters/position.js';
import { HttpError } from './http-error.js';
import type { RouteRequest } from './routing.js';

/** Grants of one stream: a page that mounts its listeners one by one gets one for each until they are renewed together. */
const MOST_GRANTS = 1_000;

/** Channels, each with the position that it is read from. Ask with `Object.hasOwn`: it has a prototype. */
export type AskedChannels = Readonly<Record<Channel, Position | null>>;

export interface Asked {
  readonly wait: 'stream' | 'poll' | 'once';
  readonly grants: readonly string[];
  readonly channels: AskedChannels;
  readonly own: Position | null;
  /** All that it names, each once. */
  readonly positions: ReadonlySet<Position>;
}

/** Of an epoch that no log has: whoever comes from there is told to refresh. */
const UNKNOWN_POSITION: Position = 'unknown:0';

/** Of `POST`. @throws HttpError 400, 413. */
export function askedOf(body: Record<string, unknown>, most: number): Asked {
  const { wait, grants, channels, own } = body;
  if (wait !== 'stream' && wait !== 'poll' && wait !== 'once')
    throw new HttpError(400, 'invalid', 'wait: must be "stream", "poll" or "once".');
  if (typeof channels !== 'object' || channels === null || Array.isArray(channels)) {
    throw new HttpError(400, 'invalid', 'channels: must be an object from channels to positions or null.');
  }
  const names = Object.keys(channels);
  if (names.length > most)
    throw new HttpError(
      413,
      'too-large',
      `channels: has ${names.length}, but at most ${most} are served on one connection.`,
    );
  const positions = new Set<Position>();
  for (const name of names) notePosition((channels as Record<string, unknown>)[name], 'channels', positions);
  notePosition(own ?? null, 'own', positions);
  return {
    wait,
    grants: grantsOf(grants),
    channels: channels as AskedChannels,
    own: (own ?? null) as Position | null,
    positions,
  };
}

/** The grants that a page shows. @throws HttpError 400. */
export function grantsOf(grants: unknown): readonly string[] {
  if (!Array.isArray(grants) || grants.length > MOST_GRANTS || !grants.every((grant) => typeof grant === 'string')) {
    throw new HttpError(400, 'invalid', `grants: must be an array of at most ${MOST_GRANTS} texts.`);
  }
  return grants;
}

function notePosition(value: unknown, field: string, positions: Set<Position>): void {
  if (value === null || positions.has(value as Position)) return;
  if (!isPosition(value))
    // What was sent is not told: writing a value of any depth as text could exhaust the stack.
    throw new HttpError(400, 'invalid', `${field}: holds a ${typeof value} that is not a position.`);
  positions.add(value as Position);
}

/** Of `GET`: the objects in the query. @throws HttpError 400, 413. */
export function objectsIn(request: RouteRequest, most: number): { entity: string; id?: string }[] {
  const objects = request.query.getAll('object').map((text) => {
    const object = objectOf(text);
    if (!object)
      throw new HttpError(
        400,
        'invalid',
        `object: ${JSON.stringify(text.slice(0, 100))} is not an entity, or an entity, "/" and an id, each escaped as by encodeURIComponent.`,
      );
    return object;
  });
  if (objects.length > most) {
    throw new HttpError(413, 'too-large', `object: was given ${objects.length} times, but at most ${most} are served.`);
  }
  return objects;
}

/** Of `GET`: where a standard `EventSource` had got to; `null`: it begins now. */
export function lastPositionIn(request: RouteRequest): Position | null {
  // A position that is none is answered as a lost one would be: the page refreshes once.
  const given = request.header('last-event-id') || request.query.get('lastEventId');
  return given ? (isPosition(given) ? (given as Position) : UNKNOWN_POSITION) : null;
}
