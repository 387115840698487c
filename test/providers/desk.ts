/** The order desk on each hosted provider, in a real browser, with the vendor's client: what works, and what breaks it. */
import type { BrowserContext, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Emulator } from '../../adapters/emulators/emulator.js';
import { openBrowser } from '../kit/browser.js';
import { type Demo, freshDataFolder, logIn, openDesk, removeDataFolder, startDemo, strip } from '../kit/demo.js';

/** The provider may take that long to be given up, or to be trusted again. */
const TURN = { timeout: 25_000 };

export interface DeskOn {
  readonly name: string;
  start(): Promise<Emulator>;
  /** The faults that stand for its death. */
  readonly cut: object;
  /** The constants with a key that is not the provider's. */
  spoil(env: Readonly<Record<string, string>>): Readonly<Record<string, string>>;
}

const via = (page: Page, name: string) => page.locator('.light .via', { hasText: name });
const pieces = (page: Page) => () => page.getByLabel('Pieces').inputValue();

export function testDesk({ name, start, cut, spoil }: DeskOn): void {
  const browser = openBrowser();
  describe(`over ${name}`, () => {
    let demo: Demo;
    let control: string;
    let context: BrowserContext;

    beforeAll(async () => {
      demo = await startDemo(freshDataFolder(), { provider: name });
      const [, url] = /emulated on (\S+);/.exec(demo.output()) ?? [];
      control = `${url}/__faults`;
    });
    afterAll(async () => {
      await demo.stop();
      removeDataFolder(demo.data);
    });
    beforeEach(async () => {
      context = await browser().newContext();
    });
    afterEach(async () => {
      await fetch(control, { method: 'DELETE' });
      await context.close();
    });

    const fault = (body: object): Promise<unknown> =>
      fetch(control, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      }).then((response) => expect(response.status).toBe(200));
    const counters = async (): Promise<{ connections: number; published: number }> =>
      ((await (await fetch(control)).json()) as { counters: { connections: number; published: number } }).counters;

    async function addPiece(id: number): Promise<void> {
      await logIn(context, demo, 'ben');
      const response = await context.request.post(`${demo.url}/as/ben/api/orders/${id}/add-piece`);
      expect(response.ok()).toBe(true);
    }

    test('two people: what one changes refreshes the other, on one connection a page', async () => {
      const ann = await openDesk(context, demo, 'ann', 'orders/1150');
      await via(ann, name).waitFor();
      const before = Number(await pieces(ann)());
      await addPiece(1150);
      await expect.poll(pieces(ann)).toBe(String(before + 1));
      await expect.poll(() => strip(ann)).toContainEqual(expect.stringMatching(/Order 1150: updated by Ben.*ran/));
      expect((await counters()).connections).toBe(1);
    });

    test('an order that a person may not see cannot be listened to', async () => {
      const cleo = await openDesk(context, demo, 'cleo', 'orders');
      await via(cleo, name).waitFor();
      await logIn(context, demo, 'ann');
      const seen = await context.request.get(`${demo.url}/as/ann/api/orders?depot=Hill`);
      const [order] = ((await seen.json()) as { orders: { id: number }[] }).orders;
      await cleo.getByLabel('Open order number').fill(String(order?.id));
      await cleo.getByRole('button', { name: 'Open' }).click();
      await cleo.getByText(`There is no order ${order?.id}`).waitFor();
      await expect
        .poll(() => strip(cleo))
        .toContainEqual(expect.stringMatching(`Order ${order?.id}: may not listen.*refused`));
    });

    test('an order disappears under the eyes of the one who may no longer see it', async () => {
      await logIn(context, demo, 'cleo');
      const mine = await context.request.get(`${demo.url}/as/cleo/api/orders?status=new`);
      const [order] = ((await mine.json()) as { orders: { id: number; version: number }[] }).orders;
      const cleo = await openDesk(context, demo, 'cleo', `orders/${order?.id}`);
      await via(cleo, name).waitFor();
      await logIn(context, demo, 'ann');
      const moved = await context.request.patch(`${demo.url}/as/ann/api/orders/${order?.id}`, {
        data: { version: order?.version, depot: 'Airport' },
      });
      expect(moved.status()).toBe(200);
      await cleo.getByText(`There is no order ${order?.id}`).waitFor();
      await expect.poll(() => strip(cleo), TURN).toContainEqual(expect.stringContaining('refused'));
    });

    test('the provider dies and comes back: the page hears on over SSE, and returns', async () => {
      const ann = await openDesk(context, demo, 'ann', 'orders/1151');
      await via(ann, name).waitFor();
      const before = Number(await pieces(ann)());
      await fault(cut);
      await addPiece(1151);
      await via(ann, 'sse').waitFor(TURN);
      await ann.locator('.light-degraded').waitFor();
      await expect.poll(pieces(ann)).toBe(String(before + 1));
      await addPiece(1151);
      await expect.poll(pieces(ann), { timeout: 2000 }).toBe(String(before + 2));
      await fetch(control, { method: 'DELETE' });
      await via(ann, name).waitFor(TURN);
      await addPiece(1151);
      await expect.poll(pieces(ann)).toBe(String(before + 3));
      await ann.locator('.light-connected').waitFor();
    }, 60_000);

    test('the quota is reached: pages that come listen over SSE', async () => {
      await fault({ quota: true });
      const ann = await openDesk(context, demo, 'ann', 'orders/1152');
      await via(ann, 'sse').waitFor();
      const before = Number(await pieces(ann)());
      await addPiece(1152);
      await expect.poll(pieces(ann), { timeout: 2000 }).toBe(String(before + 1));
    });

    test('no WebSocket is let through: the page listens over SSE', async () => {
      await context.routeWebSocket(/.*/, (socket) => socket.close({ code: 3000, reason: 'blocked' }));
      const ann = await openDesk(context, demo, 'ann', 'orders/1153');
      await via(ann, 'sse').waitFor(TURN);
      const before = Number(await pieces(ann)());
      await addPiece(1153);
      await expect.poll(pieces(ann), { timeout: 2000 }).toBe(String(before + 1));
    });
  });

  test(`with wrong keys for ${name} pages listen over SSE, and the server says why`, async () => {
    const emulator = await start();
    const context = await browser().newContext();
    const demo = await startDemo(freshDataFolder(), { provider: name, env: spoil(emulator.env) });
    try {
      const ann = await openDesk(context, demo, 'ann', 'orders/1160');
      await via(ann, 'sse').waitFor(TURN);
      const before = Number(await pieces(ann)());
      await logIn(context, demo, 'ben');
      await context.request.post(`${demo.url}/as/ben/api/orders/1160/add-piece`);
      await expect.poll(pieces(ann), { timeout: 2000 }).toBe(String(before + 1));
      await expect.poll(() => demo.output()).toMatch(new RegExp(`${name}.*(401|40101|SECRET|KEY)`, 'is'));
    } finally {
      await context.close();
      await demo.stop();
      removeDataFolder(demo.data);
      await emulator.close();
    }
  });
}
