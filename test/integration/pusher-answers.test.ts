/** Answers of Pusher's API that do not end, or are cut, over real connections with the vendor's SDK. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test, vi } from 'vitest';
import type { ProviderAdapter } from '../../adapters/provider.js';
import { createPusherAdapter } from '../../adapters/pusher/server.js';

/** As short as it can be told from "at once"; the product has five seconds. */
const TIMEOUT = 300;

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function api(answer: (response: ServerResponse) => void, timeout = TIMEOUT) {
  const counts = { sockets: 0, opened: 0 };
  const server = createServer((request, response) => {
    request.resume();
    answer(response);
  });
  server.on('connection', (socket) => {
    counts.sockets += 1;
    counts.opened += 1;
    socket.on('close', () => {
      counts.sockets -= 1;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  const account = { appId: '1', key: 'k', secret: 's', scheme: 'http', host: '127.0.0.1', port } as const;
  const adapter = createPusherAdapter({ ...account, fixedNames: false, namespace: 'shop', timeout });
  closing.push(() => adapter.close());
  return { adapter, counts };
}

const json = { 'content-type': 'application/json' };
async function publish(adapter: ProviderAdapter): Promise<string> {
  const [outcome] = await adapter.publish([{ channels: ['Order'], position: 'e:1', action: 'shipped', json: '{}' }]);
  return outcome?.kind === 'accepted' ? 'accepted' : `${outcome?.kind}: ${outcome?.error}`;
}

test.each([200, 500])('%d and a body that stalls: given up in time, and the socket with it', async (status) => {
  const { adapter, counts } = await api((response) => {
    response.writeHead(status, { ...json, 'content-length': '1000' }).write('{"a":');
  });
  expect(await publish(adapter)).toContain(`later: Error: Pusher could not be reached: no whole answer within`);
  await vi.waitFor(() => expect(counts).toEqual({ sockets: 0, opened: 1 }));
});

test.each([200, 500])('%d and a body without an end: given up after 64 KiB', async (status) => {
  const { adapter, counts } = await api((response) => {
    response.writeHead(status, json);
    const more = () => {
      while (!response.destroyed && response.write(' '.repeat(16_384)));
    };
    response.on('drain', more);
    more();
  }, 60_000);
  expect(await publish(adapter)).toContain('later: Error: Pusher could not be reached: an answer of more than 65536');
  await vi.waitFor(() => expect(counts).toEqual({ sockets: 0, opened: 1 }));
});

test.each([{ 'content-length': '1000' }, {}])('a body that is cut (%j) waits at once', async (length) => {
  const { adapter } = await api((response) => {
    response.writeHead(200, { ...json, ...length });
    response.write('{"a":', () => response.destroy());
  }, 60_000);
  expect(await publish(adapter)).toContain('later: Error: Pusher could not be reached');
});

test('the answers to revocations are read: one socket serves them all', async () => {
  // More than is buffered on the way of an answer that nobody reads.
  const body = `{}${' '.repeat(60_000)}`;
  const { adapter, counts } = await api((response) => response.writeHead(200, json).end(body), 60_000);
  for (let n = 0; n < 5; n++) {
    await adapter.revoke(['user-a'], undefined);
    // The body has come, too, and its socket is free.
    await publish(adapter);
  }
  expect(counts.opened).toBeLessThanOrEqual(2);
});

test('a revocation whose answer stalls has been told, and leaves no socket', async () => {
  const { adapter, counts } = await api((response) => {
    response.writeHead(200, { ...json, 'content-length': '1000' }).write('{"a":');
  });
  await adapter.revoke(['user-a'], undefined);
  await vi.waitFor(() => expect(counts).toEqual({ sockets: 0, opened: 1 }));
});

test('an API that is not there: neither the address nor the user is told', async () => {
  const { adapter } = await api((response) => response.destroy());
  await expect(adapter.revoke(['user-a'], undefined)).rejects.toSatisfy(
    (error: Error) => error.cause === undefined && !/auth_|user-a|http:/.test(error.message),
  );
  expect(await publish(adapter)).not.toMatch(/auth_|http:/);
});
