/** A page on a provider: the states and races of docs/hosted.md, part "In the page". */
import { expect, test } from 'vitest';
import { createHostedBench } from '../../kit/hosted.js';

const order = { entity: 'Order', id: '42' };

test('smoke', async () => {
  const { client, world, log, provider, recorder, errors } = createHostedBench();
  const seen = recorder();
  client.listen(order, { updated: seen }, { loadedAt: world.now() });
  await world.until(() => client.status().state === 'connected');
  expect(client.status()).toMatchObject({ via: 'pusher', degraded: false });
  log.notify(order);
  await world.advance(500);
  expect(seen.runs).toHaveLength(1);
  provider.line.down();
  await world.advance(100);
  expect(client.status()).toMatchObject({ via: 'pusher', degraded: true });
  await world.advance(6_000);
  expect(client.status()).toMatchObject({ via: 'sse', degraded: true });
  provider.line.attach();
  await world.advance(12_000);
  expect(client.status()).toMatchObject({ via: 'pusher', degraded: false });
  expect(errors).toEqual([]);
  client.close();
  expect(world.timers).toBe(0);
  expect(provider.line.closed).toBe(true);
  expect(log.reads.length).toBe(2);
});
