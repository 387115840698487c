/** Several tabs of one browser: they share one connection, and each of them is as fresh as if it had one of its own. */
import { describe, expect, test } from 'vitest';
import { type Browsing, oneConnection, type Visit, type Visitor } from '../visit.js';

/** More than three times what a browser opens to one site over HTTP/1.1. */
const MANY = 20;

/** Tabs in front refresh by themselves, hidden ones when they are seen. */
async function isFresh({ site }: Visit, tab: Visitor, value: number): Promise<void> {
  await tab.show();
  await site.seen(tab.name, value);
}

export function tabs({ visit, measured }: Browsing): void {
  describe('several tabs', () => {
    test(`${MANY} share one connection, all hear, and plain reads go through`, { timeout: 120_000 }, async () => {
      const visited = await visit();
      const { site, open } = visited;
      const all: Visitor[] = [];
      for (let index = 0; index < MANY; index += 1) all.push(await open(`tab${index}`));
      await oneConnection(site);
      expect(site.streams()).toHaveLength(1);
      const reads: number[] = [];
      for (const tab of all) reads.push(await tab.evaluate<number>('page.plainRead()'));
      measured(`slowest of ${MANY} plain reads`, Math.max(...reads));
      expect(Math.max(...reads)).toBeLessThan(2_000);
      const value = await site.change('shipped');
      const began = performance.now();
      await Promise.all(all.map((tab) => tab.evaluate("page.hears('shipped')")));
      measured(`${MANY} tabs heard`, performance.now() - began);
      for (const tab of all) await isFresh(visited, tab, value);
      await oneConnection(site);
    });

    test('a duplicated tab', async () => {
      const visited = await visit();
      const { site, open, opened } = visited;
      const tab = await open('a');
      const twin = await opened('a-duplicate', () => tab.click('duplicate'));
      await oneConnection(site);
      const value = await site.change();
      await isFresh(visited, twin, value);
      await isFresh(visited, tab, value);
      // Twins that fight would take the lead from each other again and again.
      const asked = site.requests('/stream');
      await isFresh(visited, twin, await site.change());
      expect(site.requests('/stream')).toBe(asked);
    });

    test('a following tab whose process stood still', async () => {
      const visited = await visit();
      const { site, open } = visited;
      const leading = await open('a');
      const following = await open('b');
      await oneConnection(site);
      const pid = await following.process();
      process.kill(pid, 'SIGSTOP');
      const value = await site.change('packed').finally(() => process.kill(pid, 'SIGCONT'));
      await isFresh(visited, following, value);
      await isFresh(visited, leading, value);
      await isFresh(visited, following, await site.change('shipped'));
    });

    test('two users stay apart, and a tab whose user changed joins the other', async () => {
      const { site, open } = await visit();
      const ann = await open('a', { user: 'ann' });
      const bob = await open('b', { user: 'bob' });
      await site.until(() => site.streams().sort().join() === 'a,b', 'a connection for each of them');
      await site.change('for-ann', { to: { users: ['ann'] } });
      await site.change('for-bob', { to: { users: ['bob'] } });
      await site.change('for-all');
      const heard = async (tab: Visitor, last: string): Promise<string[]> => {
        await tab.evaluate(`page.hears('${last}')`);
        return [...new Set(await tab.evaluate<string[]>('page.heard'))];
      };
      expect(await heard(ann, 'for-all')).toEqual(['for-ann', 'for-all']);
      expect(await heard(bob, 'for-all')).toEqual(['for-bob', 'for-all']);

      // The cookie is bob's now, in both tabs.
      await site.unplug();
      await site.plug();
      await site.until(() => site.streams().length === 1, 'one connection for the one user', 20_000);
      await Promise.all([ann, bob].map((tab) => tab.evaluate('page.live()')));
      await site.change('again-for-ann', { to: { users: ['ann'] } });
      await site.change('again-for-bob', { to: { users: ['bob'] } });
      await site.change('again-for-all');
      expect(await heard(ann, 'again-for-all')).toEqual(['for-ann', 'for-all', 'again-for-bob', 'again-for-all']);
      expect(await heard(bob, 'again-for-all')).toEqual(['for-bob', 'for-all', 'again-for-bob', 'again-for-all']);
    });

    test('two copies of the library on one page share the connection, and do not answer each other for ever', async () => {
      const { site, open } = await visit();
      const tab = await open('a', { copies: 2 });
      await tab.evaluate('second.live()');
      await oneConnection(site);
      const both = (action: string): Promise<unknown> =>
        tab.evaluate(`Promise.all([page.hears('${action}'), second.hears('${action}')]).then(() => 0)`);
      await site.change('packed');
      await both('packed');
      const asked = site.requests('/stream');
      const messages = await tab.evaluate<number>('messages');
      const value = await site.change('shipped');
      await both('shipped');
      await Promise.all([site.seen('a', value), site.seen('a-second', value)]);
      expect(site.requests('/stream')).toBe(asked);
      // The hint, relayed once; and perhaps the question for the leader, which comes every few seconds, with its answer.
      expect((await tab.evaluate<number>('messages')) - messages).toBeLessThanOrEqual(3);
      expect(site.server().notifier.metrics().connections).toBe(1);
    });

    test('without locks every tab has a connection of its own, and the sixth says that this is too many', async () => {
      const visited = await visit();
      const { site, open } = visited;
      const five: Visitor[] = [];
      for (const name of ['a', 'b', 'c', 'd', 'e']) five.push(await open(name, { locks: false }));
      expect(site.streams().sort()).toEqual(['a', 'b', 'c', 'd', 'e']);
      const value = await site.change();
      for (const tab of five) await isFresh(visited, tab, value);
      for (const tab of five) expect(await tab.evaluate('page.warnings')).toEqual([]);
      const sixth = await open('f', { locks: false });
      expect(await sixth.evaluate('page.warned()')).toMatch(/a connection of its own/);
    });
  });
}
