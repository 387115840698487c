/** Which channels an entry is on: the names of the grammar, however they are found. */
import { describe, expect, test } from 'vitest';
import { channelOf, everyChannelOf } from '../../adapters/channel.js';
import { routeOf } from '../../adapters/route.js';

const NAMES = ['Order', 'a.b-c_d', '42', '__proto__', '__proto__2', '*', '@user', 'a/b', 'a b', 'é', "~!'()", '.'];

describe('a route', () => {
  test.each(NAMES.flatMap((entity) => NAMES.map((id) => ({ entity, id }))))('of $entity, $id', ({ entity, id }) => {
    const notification = { entity, id, action: 'updated', changedDate: 1 };
    expect(routeOf({ kind: 'notification', notification })).toEqual({
      full: [channelOf({ entity, id })],
      reduced: channelOf({ entity }),
      key: 'updated',
    });
  });

  test.each(NAMES)('of %s as a whole', (entity) => {
    const notification = { entity, action: 'updated', changedDate: 1 };
    expect(routeOf({ kind: 'notification', notification })).toEqual({
      full: [everyChannelOf(entity)],
      reduced: channelOf({ entity }),
      key: 'updated',
    });
  });
});
