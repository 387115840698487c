/**
 * The order desk on each hosted provider, in a real browser, with the vendor's client: what works, and what breaks it.
 * Each of the three functions has a desk of its own, so that faults disturb nobody else and their files run side by side.
 */
import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openBrowser } from '../kit/browser.js';
import { type Demo, logIn, openDesk, removeDataFolder, seededDataFolder, startDemo, strip } from '../kit/demo.js';
import type { DeskOn } from './providers.js';

/** A provider that carries nothing is given up after 5 s, one that does not confirm after 10 s, and then once more. */
const GIVEN_UP = { timeout: 30_000 };
/**
 * Tried again within 15 s after it is back (`CUT` in adapters/pusher/client.ts, `LONGEST_WAIT_AFTER_CUT` of Ably), trusted
 * after 5 to 10 s without a break (widget/client/hosted.ts); the rest is for requests, and for a busy machine.
 */
const RETURNED = { timeout: 15_000 + 10_000 + 20_000 };
/** By then everything has come over a stream; a page reads by itself only once a minute. */
const STREAMED = { timeout: 15_000 };

/** Waits until the light says how events come; what it says instead is in the message. */
const isVia = (page: Page, name: string, within = STREAMED) =>
  expect.poll(() => page.locator('.light').textContent(), within).toContain(name);
const pieces = (page: Page) => () => page.getByLabel('Pieces').inputValue();

/** What a test does at the desk. */
interface Visit {
  readonly demo: () => Demo;
  readonly context: () => BrowserContext;
  open(person: string, path: string): Promise<Page>;
  /** Ben adds a piece to an order. */
  addPiece(id: number): Promise<void>;
}

/** A desk for all tests of a `describe`, and a browser context for each. */
function visit(browser: ReturnType<typeof openBrowser>, start: () => Promise<Demo>): Visit {
  let demo: Demo;
  let context: BrowserContext;
  beforeAll(async () => {
    demo = await start();
  });
  afterAll(async () => {
    await demo.stop();
    removeDataFolder(demo.data);
  });
  beforeEach(async () => {
    context = await browser().newContext();
  });
  afterEach(() => context.close());
  return {
    demo: () => demo,
    context: () => context,
    open: (person, path) => openDesk(context, demo, person, path),
    async addPiece(id) {
      await logIn(context, demo, 'ben');
      const response = await context.request.post(`${demo.url}/as/ben/api/orders/${id}/add-piece`);
      expect(response.ok()).toBe(true);
    },
  };
}

/** The faults of the emulator that a desk has started. */
function faultsOf(demo: () => Demo) {
  const control = (): string => `${/emulated on (\S+);/.exec(demo().output())?.[1]}/__faults`;
  return {
    set: (body: object): Promise<unknown> =>
      fetch(control(), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }).then((response) => expect(response.status).toBe(200)),
    clear: (): Promise<unknown> => fetch(control(), { method: 'DELETE' }),
    async connections(): Promise<number> {
      const { counters } = (await (await fetch(control())).json()) as { counters: { connections: number } };
      return counters.connections;
    },
  };
}

/** What a visitor does and may not do. */
export function testDesk({ name }: DeskOn): void {
  const browser = openBrowser();
  describe(`over ${name}`, () => {
    const { demo, context, open, addPiece } = visit(browser, async () =>
      startDemo(await seededDataFolder(), { provider: name }),
    );
    const faults = faultsOf(demo);

    test('two people: what one changes refreshes the other, on one connection a page', async () => {
      const ann = await open('ann', 'orders/1150');
      await isVia(ann, name);
      const before = Number(await pieces(ann)());
      await addPiece(1150);
      await expect.poll(pieces(ann)).toBe(String(before + 1));
      await expect.poll(() => strip(ann)).toContainEqual(expect.stringMatching(/Order 1150: updated by Ben.*ran/));
      expect(await faults.connections()).toBe(1);
    });

    test('an order that a person may not see cannot be listened to', async () => {
      const cleo = await open('cleo', 'orders');
      await isVia(cleo, name);
      await logIn(context(), demo(), 'ann');
      const seen = await context().request.get(`${demo().url}/as/ann/api/orders?depot=Hill`);
      const [order] = ((await seen.json()) as { orders: { id: number }[] }).orders;
      await cleo.getByLabel('Open order number').fill(String(order?.id));
      await cleo.getByRole('button', { name: 'Open' }).click();
      await cleo.getByText(`There is no order ${order?.id}`).waitFor();
      await expect
        .poll(() => strip(cleo))
        .toContainEqual(expect.stringMatching(`Order ${order?.id}: may not listen.*refused`));
    });

    test('an order disappears under the eyes of the one who may no longer see it', async () => {
      await logIn(context(), demo(), 'cleo');
      const mine = await context().request.get(`${demo().url}/as/cleo/api/orders?status=new`);
      const [order] = ((await mine.json()) as { orders: { id: number; version: number }[] }).orders;
      const cleo = await open('cleo', `orders/${order?.id}`);
      await isVia(cleo, name);
      await logIn(context(), demo(), 'ann');
      const moved = await context().request.patch(`${demo().url}/as/ann/api/orders/${order?.id}`, {
        data: { version: order?.version, depot: 'Airport' },
      });
      expect(moved.status()).toBe(200);
      await cleo.getByText(`There is no order ${order?.id}`).waitFor();
      await expect.poll(() => strip(cleo)).toContainEqual(expect.stringContaining('refused'));
    });

    test('no WebSocket is let through: the page listens over SSE', async () => {
      await context().routeWebSocket(/.*/, (socket) => socket.close({ code: 3000, reason: 'blocked' }));
      const ann = await open('ann', 'orders/1153');
      await isVia(ann, 'sse', GIVEN_UP);
      const before = Number(await pieces(ann)());
      await addPiece(1153);
      await expect.poll(pieces(ann), STREAMED).toBe(String(before + 1));
    });
  });
}

/** What becomes of a page whose provider goes away, and comes back. */
export function testFaults({ name, cut }: DeskOn): void {
  const browser = openBrowser();
  describe(`over ${name}, with faults`, () => {
    const { demo, open, addPiece } = visit(browser, async () =>
      startDemo(await seededDataFolder(), { provider: name }),
    );
    const faults = faultsOf(demo);
    afterEach(() => faults.clear());

    test('the provider dies and comes back: the page hears on over SSE, and returns', async () => {
      const ann = await open('ann', 'orders/1151');
      await isVia(ann, name);
      const before = Number(await pieces(ann)());
      await faults.set(cut);
      await addPiece(1151);
      await isVia(ann, 'sse', GIVEN_UP);
      await ann.locator('.light-degraded').waitFor();
      await expect.poll(pieces(ann)).toBe(String(before + 1));
      await addPiece(1151);
      await expect.poll(pieces(ann), STREAMED).toBe(String(before + 2));
      await faults.clear();
      await isVia(ann, name, RETURNED);
      await addPiece(1151);
      await expect.poll(pieces(ann)).toBe(String(before + 3));
      await ann.locator('.light-connected').waitFor();
    }, 150_000);

    test('the quota is reached: pages that come listen over SSE', async () => {
      await faults.set({ quota: true });
      const ann = await open('ann', 'orders/1152');
      await isVia(ann, 'sse');
      const before = Number(await pieces(ann)());
      await addPiece(1152);
      await expect.poll(pieces(ann), STREAMED).toBe(String(before + 1));
    });
  });
}

/** A secret or a key that is not the provider's. */
export function testWrongKeys({ name, start, spoil }: DeskOn): void {
  const browser = openBrowser();
  describe(`with wrong keys for ${name}`, () => {
    let close: (() => Promise<void>) | undefined;
    afterAll(() => close?.());
    const { demo, open, addPiece } = visit(browser, async () => {
      const emulator = await start();
      ({ close } = emulator);
      return startDemo(await seededDataFolder(), { provider: name, env: spoil(emulator.env) });
    });

    test('pages listen over SSE, and the server says why', async () => {
      const ann = await open('ann', 'orders/1160');
      await isVia(ann, 'sse', GIVEN_UP);
      const before = Number(await pieces(ann)());
      await addPiece(1160);
      await expect.poll(pieces(ann), STREAMED).toBe(String(before + 1));
      await expect.poll(() => demo().output()).toMatch(new RegExp(`${name}.*(401|40101|SECRET|KEY)`, 'is'));
    });
  });
}
