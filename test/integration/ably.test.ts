/** The client half: Ably's own SDK against a server of its protocol, through cuts, losses, refusals and changes of the set. */
import { describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { ably } from '../../adapters/ably/client.js';
import { ListenError } from '../../adapters/errors.js';
import { outgoing, startAbly, until } from '../kit/ably.js';

describe('the set', () => {
  test('is subscribed with what the server adds, on one connection, by one question', async () => {
    await using bench = await startAbly();
    const page = bench.page();
    page.update(['Order/1']);
    page.update(['Order/1', 'Order/2']);
    await page.hold(['Order/1', 'Order/2', 'Order']);
    expect(page.asked.map(({ channels }) => channels)).toEqual([['Order/1', 'Order/2', 'Order']]);
    expect(bench.emulator.counters).toMatchObject({ connected: 1, subscriptions: 6 }); // Order/*, @user/ann, @all
    for (const channel of ['Order/1', 'Order/2', 'Order', 'Order/*', '@user/ann', '@all'])
      await bench.publish(outgoing([channel], channel));
    await until(() => page.heard.length === 6);
    expect(new Set(page.heard)).toEqual(new Set(['Order/1', 'Order/2', 'Order', 'Order/*', '@user/ann', '@all']));
    expect(page.count('attached')).toBe(1);
  });

  test('grows in place: one question, no new connection, and what was held goes on', async () => {
    await using bench = await startAbly();
    const page = bench.page();
    await page.hold(['Order/1']);
    page.update(['Order/1', 'Order/2'], ['grant', 'second']);
    await page.hold(['Order/1', 'Order/2', 'Invoice/7'], ['grant', 'second', 'third']);
    expect(page.asked.length).toBe(2);
    expect(bench.emulator.counters).toMatchObject({ connected: 1, subscriptions: 7 });
    await bench.publish(outgoing(['Order/1'], 'one'), outgoing(['Invoice/7'], 'seven'));
    await until(() => page.heard.length === 2);
    expect(page.told.map(([what]) => what)).toEqual(['attached', 'attached']);
  });

  test('shrinks without a question', async () => {
    await using bench = await startAbly();
    const page = bench.page();
    await page.hold(['Order/1', 'Order/2', 'Invoice/7']);
    await page.hold(['Order/2']);
    await until(() => bench.emulator.counters.subscriptions === 5);
    expect(page.asked.length).toBe(1);
    await bench.publish(outgoing(['Order/1'], 'left'), outgoing(['Order/2'], 'kept'));
    await until(() => page.heard.includes('kept'));
    expect(page.heard).toEqual(['kept']);
  });

  test('a channel that is left and wanted again in the same breath is heard', async () => {
    await using bench = await startAbly();
    const page = bench.page();
    await page.hold(['Order/1', 'Order/2']);
    for (let round = 0; round < 5; round++) {
      page.update(['Order/2']);
      // The detach is on its way when the channel is wanted again.
      await new Promise((resolve) => setImmediate(resolve));
      await page.hold(['Order/1', 'Order/2']);
      await bench.publish(outgoing(['Order/1'], `round ${round}`));
      await until(() => page.heard.includes(`round ${round}`));
    }
    expect(bench.emulator.counters.connected).toBe(1);
  });

  test('the newest wins, also while a token is being asked for', async () => {
    await using bench = await startAbly();
    const page = bench.page();
    let open = (): void => {};
    page.rights.gate = new Promise((resolve) => {
      open = resolve;
    });
    page.update(['Order/1']);
    await until(() => page.asked.length === 1);
    const held = page.hold(['Order/2']);
    open();
    await held;
    expect(page.told.map(([what]) => what)).toEqual(['attached']);
    expect(bench.emulator.counters).toMatchObject({ connected: 1, subscriptions: 4 });
  });

  test('as many objects as it takes, each of an entity of its own, fit on a connection beside the channels of nine secrets', async () => {
    await using bench = await startAbly();
    const page = bench.page();
    const objects = Array.from({ length: ably().capabilities.channels ?? 0 }, (_, index) => `Entity${index}/1`);
    // One each for every secret; the user's of the first is among what the bench adds.
    const users = Array.from({ length: 8 }, (_, index) => `@user/${index}`);
    const sessions = Array.from({ length: 9 }, (_, index) => `@session/${index}`);
    await page.hold([...objects, ...users, ...sessions]);
    expect(bench.emulator.counters.subscriptions).toBe(199);
  });

  test('is not attached while the server covers only a part of it, and is asked for again', async () => {
    await using bench = await startAbly();
    const page = bench.page();
    page.rights.refused.add('Order/2');
    const wanted = page.update(['Order/1', 'Order/2']);
    await until(() => bench.emulator.counters.subscriptions === 4);
    expect(page.attached).toBeUndefined();
    page.rights.refused.clear();
    await page.wait(() => page.attached === wanted);
  });
});

describe('rights', () => {
  test('are renewed in place before they end', async () => {
    await using bench = await startAbly();
    const page = bench.page();
    await page.hold(['Order/1']);
    await page.world.advance(0.9 * 300_000);
    await until(() => page.asked.length === 2);
    // What is published after the renewal is heard on the same connection.
    await page.hold(['Order/1', 'Order/2'], ['grant', 'other']);
    expect(bench.emulator.counters.connected).toBe(1);
    expect(page.count('down')).toBe(0);
  });

  test('that are renewed interrupt nothing, however late the server answers', async () => {
    await using bench = await startAbly();
    const page = bench.page();
    await page.hold(['Order/1', 'Order/2']);
    let open = (): void => {};
    page.rights.gate = new Promise((resolve) => {
      open = resolve;
    });
    await page.hold(['Order/1', 'Order/2'], ['renewed']);
    expect(page.asked.length).toBe(2);
    open();
    await page.hold(['Order/1'], ['renewed']);
    await page.hold(['Order/1', 'Order/3'], ['renewed', 'other']);
    expect(page.asked.length).toBe(3);
    expect(bench.emulator.counters.connected).toBe(1);
  });

  test('that end cut the connection off from what is not granted any more', async () => {
    await using bench = await startAbly();
    const page = bench.page();
    await page.hold(['Order/1', 'Order/2']);
    page.rights.refused.add('Order/1');
    await bench.adapter.revoke(['ann', 'ann-by-the-former-secret'], ['Order/1']);
    await until(() => page.count('down') === 1);
    await page.hold(['Order/2']);
    await bench.publish(outgoing(['Order/1'], 'not any more'), outgoing(['Order/2'], 'still'));
    await until(() => page.heard.includes('still'));
    expect(page.heard).toEqual(['still']);
    expect(bench.warnings).toEqual([]);
  });

  test('that cannot be asked for are told, and asked for again', async () => {
    await using bench = await startAbly();
    const page = bench.page();
    page.rights.error = new ListenError('unauthenticated', 'nobody is logged in');
    page.update(['Order/1']);
    await until(() => page.count('down') === 1);
    expect(page.told).toEqual([['down', page.rights.error]]);
    page.rights.error = undefined;
    await page.wait(() => page.attached !== undefined);
  });

  test('that cannot be asked for leave what stands', async () => {
    await using bench = await startAbly();
    const page = bench.page();
    await page.hold(['Order/1']);
    page.rights.error = new ListenError('forbidden', 'no');
    const wanted = page.update(['Order/1', 'Order/2'], ['grant', 'other']);
    await until(() => page.asked.length === 2);
    await bench.publish(outgoing(['Order/1'], 'still'));
    await until(() => page.heard.includes('still'));
    expect(page.told.map(([what]) => what)).toEqual(['attached']);
    page.rights.error = undefined;
    await page.wait(() => page.attached === wanted);
  });

  test('of another user take another client of the SDK', async () => {
    await using bench = await startAbly();
    const page = bench.page();
    await page.hold(['Order/1']);
    page.rights.user = 'bob';
    const wanted = page.update(['Order/1', 'Order/2'], ['of bob']);
    await until(() => page.count('down') === 1);
    await page.wait(() => page.attached === wanted);
    await bench.publish(
      outgoing(['@user/bob'], 'for bob'),
      outgoing(['@user/ann'], 'for ann'),
      outgoing(['Order/2'], 'end'),
    );
    await until(() => page.heard.includes('end'));
    expect(page.heard).not.toContain('for ann');
  });
});

describe('faults', () => {
  test('a cut is told, resumed, and attached again; what came in between arrives', async () => {
    await using bench = await startAbly();
    const page = bench.page();
    await page.hold(['Order/1']);
    bench.emulator.cutAll();
    await bench.publish(outgoing(['Order/1'], 'in between'));
    await until(() => page.count('attached') === 2);
    await until(() => page.heard.includes('in between'));
    expect(page.told.map((entry) => (entry[0] === 'down' ? entry[1].code : entry[0]))).toEqual([
      'attached',
      'network',
      'attached',
    ]);
    expect(page.asked.length).toBe(1);
  });

  test('a cut after which nothing can be resumed is the same: the set is attached again', async () => {
    await using bench = await startAbly();
    const page = bench.page();
    await page.hold(['Order/1']);
    await bench.emulator.stop();
    await until(() => page.count('down') === 1);
    await bench.emulator.start();
    await page.wait(() => page.count('attached') === 2);
    await bench.publish(outgoing(['Order/1'], 'after'));
    await until(() => page.heard.includes('after'));
  });

  test('however long Ably was away: tried again within 15 s', async () => {
    await using bench = await startAbly();
    const page = bench.page();
    await page.hold(['Order/1']);
    const waits: number[] = [];
    const { setTimeout } = page.world;
    page.world.setTimeout = (run, ms) => {
      waits.push(ms);
      return setTimeout(run, ms);
    };
    await bench.emulator.stop();
    for (let tries = 1; tries < 9; tries++) {
      await until(() => waits.length >= tries);
      await page.world.advance(waits.at(-1) ?? 0);
    }
    await until(() => waits.length >= 9);
    // Three quarters of 1, 2, 4, 8, 15, … s, since the test's chance is a half.
    expect(waits.slice(0, 4)).toEqual([750, 1_500, 3_000, 6_000]);
    expect(new Set(waits.slice(4))).toEqual(new Set([11_250]));
    await bench.emulator.start();
    await page.world.advance(11_250);
    await until(() => page.attached !== undefined);
  });

  test('a loss that Ably admits is told while the connection stands', async () => {
    await using bench = await startAbly();
    const page = bench.page();
    await page.hold(['Order/1']);
    bench.emulator.loseContinuity('test:Order/1');
    await until(() => page.count('missed') === 1);
    expect(page.told.map(([what]) => what)).toEqual(['attached', 'missed']);
  });

  test('a channel that Ably detaches is attached again, and that is told', async () => {
    await using bench = await startAbly();
    const page = bench.page();
    await page.hold(['Order/1', 'Order/2']);
    bench.emulator.suspend('test:Order/1');
    await until(() => page.count('attached') === 2);
    expect(page.count('down')).toBe(0);
  });

  test('a suspended channel is down until it is attached again', async () => {
    await using bench = await startAbly();
    const page = bench.page();
    await page.hold(['Order/1', 'Order/2']);
    bench.emulator.suspend('test:Order/1', 1);
    await until(() => page.count('down') === 1);
    expect(page.attached).toBeUndefined();
    await page.wait(() => page.attached !== undefined);
    await bench.publish(outgoing(['Order/1'], 'again'));
    await until(() => page.heard.includes('again'));
    expect(bench.emulator.counters.connected).toBe(1);
  });

  test('a key that is gone is no final error: it is tried again, ever more rarely', async () => {
    await using bench = await startAbly();
    const page = bench.page();
    await page.hold(['Order/1']);
    bench.emulator.removeKey();
    await until(() => page.count('down') === 1);
    const [, error] = page.told.at(-1) as ['down', ListenError];
    expect(error).toMatchObject({ code: 'unavailable', retryable: true, message: expect.stringMatching(/40101/) });
    const before = page.asked.length;
    const start = page.world.now();
    await page.wait(() => page.asked.length === before + 9, 1_000);
    // 1 + 2 + 4 + … + 256 s, each by chance as little as half of it; and no request answers faster than that.
    expect(page.world.now() - start).toBeGreaterThan(250_000);
    bench.emulator.restoreKey();
    await page.wait(() => page.attached !== undefined, 1_000);
    await bench.publish(outgoing(['Order/1'], 'again'));
    await until(() => page.heard.includes('again'));
  });

  test('an account over its limit is told as such', async () => {
    await using bench = await startAbly({ limits: { connections: 0 } });
    const page = bench.page();
    page.update(['Order/1']);
    await until(() => page.count('down') === 1);
    expect(page.told).toEqual([['down', expect.objectContaining({ code: 'limit', retryable: true })]]);
  });

  test('what Ably drops above its rate leads to a read', async () => {
    await using bench = await startAbly({ limits: { outboundRate: 5 } });
    const page = bench.page();
    const channels = Array.from({ length: 20 }, (_, id) => `Order/${id}`);
    await page.hold(channels);
    await bench.publish(...channels.map((channel) => outgoing([channel])));
    await until(() => page.count('missed') > 0);
    expect(page.heard.length).toBeLessThan(20);
    expect(page.count('down')).toBe(0);
  });

  test('a key that may not subscribe, and an account with fewer channels a connection, are told and tried again', async () => {
    for (const options of [{ capability: { '*': ['publish'] } }, { limits: { channelsPerConnection: 3 } }]) {
      await using bench = await startAbly(options);
      const page = bench.page();
      page.update(['Order/1']);
      await until(() => page.count('down') === 1);
      expect(page.told[0]).toEqual(['down', expect.objectContaining({ code: 'unavailable', retryable: true })]);
      await page.wait(() => page.asked.length === 4, 1_000);
      expect(page.count('down')).toBe(1);
      expect(page.attached).toBeUndefined();
    }
  });

  test('an answer of /auth that is no token request is told', async () => {
    await using bench = await startAbly();
    const page = bench.page();
    vi.spyOn(bench.adapter, 'authorise').mockResolvedValueOnce({ details: { tokenRequest: {} }, renewIn: 1_000 });
    page.update(['Order/1']);
    await until(() => page.count('down') === 1);
    expect(page.told[0]).toEqual(['down', expect.objectContaining({ code: 'protocol' })]);
    await page.wait(() => page.attached !== undefined);
  });
});

describe('close', () => {
  test('leaves nothing behind, and nothing is told after it', async () => {
    await using bench = await startAbly();
    const page = bench.page();
    await page.hold(['Order/1']);
    const before = page.told.length;
    page.connection.close();
    page.connection.close();
    page.update(['Order/2']);
    await until(() => bench.emulator.counters.connections === 0);
    await bench.emulator.stop();
    expect(page.told.length).toBe(before);
    expect(page.world.timers).toBe(0);
    expect(page.asked.length).toBe(1);
  });

  test('before the SDK is loaded: it never connects', async () => {
    await using bench = await startAbly();
    const page = bench.page();
    page.update(['Order/1']);
    page.connection.close();
    // Another page, opened later, is there before it could be.
    await bench.page().hold(['Order/1']);
    expect(bench.emulator.counters.connected).toBe(1);
    expect(page.told).toEqual([]);
  });

  test('the SDK writes nothing to the console', async () => {
    const written = (['log', 'warn', 'error', 'info', 'debug'] as const).map((level) => vi.spyOn(console, level));
    await using bench = await startAbly();
    const page = bench.page();
    await page.hold(['Order/1']);
    bench.emulator.removeKey();
    await until(() => page.count('down') === 1);
    page.connection.close();
    for (const level of written) {
      expect(level).not.toHaveBeenCalled();
      level.mockRestore();
    }
  });
});

describe('in a browser', () => {
  test("it is Ably's modular build, and it does the same", async () => {
    // As far as that build can tell: it runs on what browsers and Node have in common, and on these.
    vi.stubGlobal('WebSocket', WebSocket);
    vi.stubGlobal('document', {});
    const window = new Map<string, () => void>();
    vi.stubGlobal('addEventListener', (name: string, listener: () => void) => window.set(name, listener));
    const written = vi.spyOn(console, 'log').mockImplementation(() => {});
    try {
      await using bench = await startAbly();
      const page = bench.page();
      await page.hold(['Order/1']);
      await page.hold(['Order/1', 'Order/2'], ['grant', 'second']);
      await bench.publish(outgoing(['Order/1'], 'one'), outgoing(['Order/2'], 'two'));
      await until(() => page.heard.length === 2);
      bench.emulator.cutAll();
      await until(() => page.count('attached') === 3);
      await bench.publish(outgoing(['Order/2'], 'again'));
      await until(() => page.heard.includes('again'));
      // The page is about to be left, and stays: a download, a dialog that was answered with no, the back/forward cache.
      window.get('beforeunload')?.();
      await until(() => page.count('down') === 2);
      await until(() => bench.emulator.counters.connections === 0);
      await page.wait(() => page.count('attached') === 4);
      page.connection.close();
      await until(() => bench.emulator.counters.connections === 0);
      // Which build it was: only that one says that it is not for Node.
      expect(written.mock.calls.flat().join()).toMatch(/intended for browsers/);
    } finally {
      written.mockRestore();
      vi.unstubAllGlobals();
    }
  });
});
