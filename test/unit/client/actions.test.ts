/** The action list, what cannot be, and the declarations. */
import { expect, test } from 'vitest';
import { createListenClient, defineEntities } from '../../../widget/client/index.js';
import type { Actions, ListenOptions } from '../../../widget/client/types.js';

const client = createListenClient({ callbacks: { reload: () => {} } });
const listen =
  (actions: unknown, object: unknown = { entity: 'Order', id: 1 }, options?: ListenOptions) =>
  () =>
    client.listen(object as { entity: string }, actions as Actions, options).close();
const run = () => {};

test.each<[string, unknown, RegExp]>([
  ['nothing', undefined, /actions: is empty/],
  ['an empty list', [], /actions: is empty/],
  ['an empty map', {}, /actions: is empty/],
  ['a row without on', [{ run }], /actions\[0\]\.on/],
  [
    'an empty action',
    [
      { on: 'a', run },
      { on: '', run },
    ],
    /actions\[1\]\.on/,
  ],
  ['an action that is no text', [{ on: [1], run }], /actions\[0\]\.on/],
  ['a row without run', [{ on: 'a' }], /actions\[0\]\.run/],
  ['no function', { a: 5 }, /actions\[0\]\.run/],
  ['an unknown name', [{ on: 'a', run: 'reaload' }], /no callback "reaload"/],
  ['a name that every object has', [{ on: 'a', run: 'constructor' }], /no callback "constructor"/],
  ['an unknown name of a condition', [{ on: 'a', run, when: 'clean' }], /no callback "clean"/],
  ['an unknown name of an error handler', [{ on: 'a', run, onError: 'shout' }], /no callback "shout"/],
  ['no row at all', [null], /actions\[0\]\.on/],
])('%s is an error that names the place', (_name, actions, message) => {
  expect(listen(actions)).toThrow(message);
  expect(listen(actions)).toThrow(TypeError);
});

test.each<[unknown, RegExp]>([
  [{ entity: 'Order', id: undefined }, /object\.id/],
  [{ entity: '' }, /object\.entity/],
  [null, /object/],
  ['Order', /object/],
])('an object that cannot be is an error: %j', (object, message) => {
  expect(listen({ a: run }, object)).toThrow(message);
});

test("a name is looked up in the listener's callbacks, then in the client's", () => {
  expect(listen([{ on: 'a', run: ['reload', 'own'] }], undefined, { callbacks: { own: run } })).not.toThrow();
  expect(listen([{ on: 'a', run: 'own' }])).toThrow(/own/);
});

test('setActions is checked as well, and what was there stays', () => {
  const listening = client.listen({ entity: 'Order', id: 1 }, { a: run });
  expect(() => listening.setActions([])).toThrow(TypeError);
  listening.close();
});

test('defineEntities makes plain objects', () => {
  const { Order } = defineEntities({ Order: ['updated', 'shipped'] });
  expect(Order(42)).toEqual({ entity: 'Order', id: 42 });
  expect(Order.all).toEqual({ entity: 'Order' });
  expect(Order.actions).toEqual(['updated', 'shipped']);
  expect(JSON.stringify(Order('7'))).toBe('{"entity":"Order","id":"7"}');
});
