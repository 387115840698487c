/** The fault proxy itself: each fault does what it says, and nothing else, before anything is proved with it. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { CANNED } from '../kit/canned.js';
import { type FaultProxy, type FaultProxyOptions, faultProxy } from '../kit/fault-proxy.js';

const WAIT = { timeout: 5_000, interval: 5 };
/** For what must not come: longer than anything takes on this machine, short beside the test's own limit. */
const QUIET_MS = 60;

/** One end of a connection with what it got. */
interface Peer {
  readonly socket: Socket;
  readonly pieces: Buffer[];
  /** `''` while it lives. */
  end: '' | 'fin' | 'rst';
}

const text = ({ pieces }: Peer): string => Buffer.concat(pieces).toString();

function peer(socket: Socket): Peer {
  const seen: Peer = { socket, pieces: [], end: '' };
  socket.on('data', (piece: Buffer) => seen.pieces.push(piece));
  socket.on('end', () => {
    seen.end ||= 'fin';
  });
  socket.on('error', () => {
    seen.end ||= 'rst';
  });
  onTestFinished(() => void socket.destroy());
  return seen;
}

interface House {
  readonly proxy: FaultProxy;
  /** The server's ends, in the order in which they came. */
  readonly served: Peer[];
  dial(): Promise<Peer>;
  /** Both ends of a new connection. */
  pair(): Promise<readonly [client: Peer, server: Peer]>;
}

async function house(options: Partial<FaultProxyOptions> = {}): Promise<House> {
  const served: Peer[] = [];
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => served.push(peer(socket)));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const proxy = await faultProxy({ target: (server.address() as AddressInfo).port, ...options });
  onTestFinished(async () => {
    await proxy.close();
    server.close();
  });
  const dial = (): Promise<Peer> =>
    new Promise((resolve, reject) => {
      const socket = connect({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(peer(socket));
      });
    });
  return {
    proxy,
    served,
    dial,
    async pair() {
      const before = served.length;
      const client = await dial();
      await vi.waitFor(() => expect(served.length).toBe(before + 1), WAIT);
      return [client, served[before] as Peer];
    },
  };
}

const gets = (end: Peer, what: string) => vi.waitFor(() => expect(text(end)).toBe(what), WAIT);
const ends = (end: Peer, how: Peer['end']) => vi.waitFor(() => expect(end.end).toBe(how), WAIT);
const quiet = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, QUIET_MS));

test('passes bytes and ends, each direction by itself', async () => {
  const { proxy, pair } = await house();
  const [client, server] = await pair();
  client.socket.end('question');
  await gets(server, 'question');
  await ends(server, 'fin');
  server.socket.end('answer');
  await gets(client, 'answer');
  await ends(client, 'fin');
  await vi.waitFor(
    () => expect(proxy.counts()).toEqual({ accepted: 1, open: 0, cut: 0, lost: 0, up: 8, down: 6 }),
    WAIT,
  );
});

test('much more than the buffers hold goes through, through pieces too', async () => {
  const { proxy, pair } = await house();
  proxy.set('down', { split: 10_000 });
  const [client, server] = await pair();
  server.socket.write(Buffer.alloc(5_000_000));
  await vi.waitFor(() => expect(proxy.counts().down).toBe(5_000_000), WAIT);
  await vi.waitFor(() => expect(Buffer.concat(client.pieces).length).toBe(5_000_000), WAIT);
});

describe('cut', () => {
  test.each(['fin', 'rst'] as const)('now, by %s: both ends hear of it', async (how) => {
    const { proxy, pair } = await house();
    const [client, server] = await pair();
    expect(proxy.cut(how)).toBe(1);
    await ends(client, how);
    await ends(server, how);
    expect(proxy.counts()).toMatchObject({ cut: 1, open: 0 });
    const [after] = await pair();
    expect(after.end).toBe('');
  });

  test('after N bytes of a direction, for every connection, until it is taken away', async () => {
    const { proxy, pair } = await house();
    proxy.set('down', { cut: { after: 3, how: 'fin' } });
    for (let n = 0; n < 2; n += 1) {
      const [client, server] = await pair();
      client.socket.write('this is not counted');
      await gets(server, 'this is not counted');
      server.socket.write('ab');
      await gets(client, 'ab');
      server.socket.write('cdef');
      await ends(client, 'fin');
      expect(text(client)).toBe('abc');
    }
    await proxy.heal();
    const [client, server] = await pair();
    server.socket.write('abcdef');
    await gets(client, 'abcdef');
  });

  test('counts from when the fault was set, on connections that were open', async () => {
    const { proxy, pair } = await house();
    const [client, server] = await pair();
    server.socket.write('before');
    await gets(client, 'before');
    proxy.set('down', { cut: { after: 2, how: 'rst' } });
    server.socket.write('after');
    await ends(server, 'rst');
    // With bytes ahead of it libuv tells a reset as an end.
    await vi.waitFor(() => expect(client.end).not.toBe(''), WAIT);
    expect('beforeaf'.startsWith(text(client))).toBe(true);
  });

  test('a connection has a longest life', async () => {
    const { pair } = await house({ life: 30 });
    const [client, server] = await pair();
    await ends(client, 'rst');
    await ends(server, 'rst');
  });
});

describe('stall', () => {
  test('hold: nothing and no end passes, the sender is blocked, and all of it comes later', async () => {
    const { proxy, pair } = await house();
    const [client, server] = await pair();
    proxy.set('down', { stall: 'hold' });
    while (server.socket.write(Buffer.alloc(1_000_000)));
    await quiet();
    expect(client.pieces).toEqual([]);
    expect(server.socket.writableNeedDrain).toBe(true);
    client.socket.write('up still works');
    await gets(server, 'up still works');
    server.socket.end();
    await proxy.heal();
    await ends(client, 'fin');
    expect(Buffer.concat(client.pieces).length % 1_000_000).toBe(0);
  });

  test('swallow: it is read and gone, no end is told, and the connection is half-open for ever', async () => {
    const { proxy, pair } = await house();
    const [client, server] = await pair();
    proxy.set('both', { stall: 'swallow' });
    server.socket.write('lost');
    client.socket.write('lost too');
    await quiet();
    client.socket.destroy();
    await proxy.heal();
    server.socket.write('lost as well');
    await quiet();
    expect([text(client), text(server), server.end]).toEqual(['', '', '']);
    expect(server.socket.writableNeedDrain).toBe(false);
    expect(proxy.counts()).toMatchObject({ open: 1, up: 0, down: 0 });
    const [next, served] = await pair();
    served.socket.write('works');
    await gets(next, 'works');
    proxy.cut('rst');
    await ends(server, 'rst');
  });

  test('swallow of one direction leaves the other', async () => {
    const { proxy, pair } = await house();
    const [client, server] = await pair();
    proxy.set('up', { stall: 'swallow' });
    client.socket.end('lost');
    server.socket.write('comes');
    await gets(client, 'comes');
    await quiet();
    expect([text(server), server.end]).toEqual(['', '']);
  });
});

describe('slowness', () => {
  test('delay and jitter: later, and in order', async () => {
    const { proxy, pair } = await house({ random: () => 0.5 });
    const [client, server] = await pair();
    proxy.set('down', { delay: 40, jitter: 40 });
    const start = performance.now();
    server.socket.write('one ');
    await gets(client, 'one ');
    expect(performance.now() - start).toBeGreaterThan(55);
    for (const word of ['two ', 'three ', 'four']) {
      server.socket.write(word);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await gets(client, 'one two three four');
    client.socket.write('up is not delayed');
    await gets(server, 'up is not delayed');
  });

  test('drip: a few bytes at a time', async () => {
    const { proxy, pair } = await house();
    const [client, server] = await pair();
    proxy.set('down', { drip: { bytes: 2, every: 10 } });
    const start = performance.now();
    server.socket.write('0123456789');
    await gets(client, '0123456789');
    expect(performance.now() - start).toBeGreaterThan(45);
    expect(client.pieces.map(({ length }) => length)).toEqual([2, 2, 2, 2, 2]);
  });

  test('split: at any byte', async () => {
    const { proxy, pair } = await house();
    const [client, server] = await pair();
    const sizes = [1, 3, 2];
    proxy.set('down', { split: () => sizes.shift() ?? 100 });
    server.socket.write('abcdefghi');
    await gets(client, 'abcdefghi');
    expect(client.pieces.length).toBeGreaterThan(1);
  });
});

describe('at the door', () => {
  test('refuse: nobody listens, open connections stay; then the same port works again', async () => {
    const { proxy, pair, dial } = await house();
    const [client, server] = await pair();
    await proxy.door('refuse');
    await expect(dial()).rejects.toThrow('ECONNREFUSED');
    server.socket.write('still here');
    await gets(client, 'still here');
    await proxy.heal();
    await pair();
  });

  test('mute: accepted, and nothing more', async () => {
    const { proxy, dial, served } = await house();
    await proxy.door('mute');
    const client = await dial();
    client.socket.write('GET / HTTP/1.1\r\n\r\n');
    await quiet();
    expect([text(client), client.end, served.length]).toEqual(['', '', 0]);
    client.socket.end();
    await vi.waitFor(() => expect(proxy.counts().open).toBe(0), WAIT);
  });

  test.each(Object.entries(CANNED))('a canned answer that HTTP clients can read: %s', async (_name, answer) => {
    const { proxy, served } = await house();
    await proxy.door({ answer });
    const response = await fetch(proxy.url, { method: 'POST', body: 'x', redirect: 'manual' });
    expect(answer.startsWith(`HTTP/1.1 ${response.status} `)).toBe(true);
    expect(answer.endsWith(`\r\n\r\n${await response.text()}`)).toBe(true);
    expect(served).toEqual([]);
  });

  test('another target for new connections', async () => {
    const { proxy, pair } = await house();
    const other = await house();
    await pair();
    proxy.target(other.proxy.port);
    const asking = new AbortController();
    fetch(proxy.url, { signal: asking.signal }).catch(() => {});
    await vi.waitFor(() => expect(other.served).toHaveLength(1), WAIT);
    asking.abort();
  });
});
