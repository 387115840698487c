/**
 * What a server spends on a page that was away: a catch-up of 20 channels over HTTP, with 100,000 objects in the history,
 * after a million missed notifications and after a hundred. Both are told of the same 20 objects, as these are among what was
 * missed each time; the rest of the million must not show.
 */
import { Agent, request } from 'node:http';
import type { Position } from '../../adapters/position.js';
import { type Child, startChild } from '../kit/child.js';
import { type Asking, grantFor } from '../kit/listen.js';
import type { Figure, Part } from '../kit/part.js';
import type { ReplayAnswers } from './replay-process.js';

const OBJECTS = 100_000;
/** Room for all of them, each of which is on its own channel; with what is on the list's. */
const CAP = 2 * OBJECTS;
const CHANNELS = 20;
const FEW = 100;
const MANY = 1_000_000;
/** Catch-ups that are measured together, how many at a time, and how often in a round. */
const REQUESTS = 200;
const AT_ONCE = 8;
const SLICES = 3;
const TARGET = 1.2;

export const benchReplay: Part = async ({ rounds }): Promise<Figure[]> => {
  const server = await startChild<ReplayAnswers>('parts/replay-process.ts');
  const port = await server.call('open', CAP);
  const channels = Array.from({ length: CHANNELS }, (_, index) => `Order/${index}`);
  const asking = await grantFor(port, 'ann', channels);
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  const cost = (after: Position): Promise<number> => costOf(server, () => catchUp(port, agent, asking, after));
  await cost(await server.call('notify', OBJECTS, OBJECTS));

  const few: number[] = [];
  const many: number[] = [];
  for (let round = 0; round < rounds; round++) {
    // In its own order each round: what is measured first finds the server's caches as the notifications left them.
    const parts = [
      { values: few, missed: FEW, objects: CHANNELS },
      { values: many, missed: MANY, objects: OBJECTS },
    ];
    for (const { values, missed, objects } of round % 2 === 1 ? parts.reverse() : parts) {
      const after = await server.call('notify', missed, objects);
      await server.call('tidy');
      let sum = 0;
      for (let slice = 0; slice < SLICES; slice++) sum += await cost(after);
      values.push(sum / SLICES);
    }
  }
  agent.destroy();
  await server.end();
  const name = (missed: number): string => `catch-up of ${CHANNELS} channels, ${missed.toLocaleString('en')} missed`;
  const ratios = many.map((value, round) => value / (few[round] ?? Number.NaN));
  return [
    { name: name(FEW), of: 'notify-listen', unit: 'µs', values: few },
    { name: name(MANY), of: 'notify-listen', unit: 'µs', values: many, ratios, target: TARGET },
  ];
};

/** The server's CPU for each of {@link REQUESTS}, in microseconds. */
async function costOf(server: Child<ReplayAnswers>, ask: () => Promise<unknown>): Promise<number> {
  const before = await server.call('cpu');
  for (let made = 0; made < REQUESTS; made += AT_ONCE) await Promise.all(Array.from({ length: AT_ONCE }, ask));
  return ((await server.call('cpu')) - before) / REQUESTS;
}

/** @throws Error unless each channel is told of. */
function catchUp(port: number, agent: Agent, { user, grant, channels }: Asking, after: Position): Promise<void> {
  const body = JSON.stringify({
    protocol: 1,
    wait: 'once',
    grants: [grant],
    channels: Object.fromEntries(channels.map((channel) => [channel, after])),
    own: null,
  });
  const headers = { 'x-user': user, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, agent, method: 'POST', path: '/notify-listen/stream', headers };
    const asked = request(options, (response) => {
      let text = '';
      response.setEncoding('latin1');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => {
        const told = text.split('"notifier":"Ann"').length - 1;
        if (told === CHANNELS) resolve();
        else reject(new Error(`${response.statusCode}: told of ${told} objects: ${text.slice(0, 300)}`));
      });
    });
    asked.on('error', reject);
    asked.end(body);
  });
}
