/** One page: notifications stream, and whatever is between the page and the server may go and come back. */
import { describe, expect, test } from 'vitest';
import { type Browsing, untilTrue } from '../visit.js';

export function streaming({ visit, measured, can }: Browsing): void {
  describe('one page', () => {
    test('refreshes at once, over a stream', async () => {
      const { site, open } = await visit();
      const tab = await open('a');
      expect(await tab.evaluate('page.live()')).toBe('sse');
      measured('refresh', await site.seen('a', await site.change()));
      await untilTrue(tab, 'page.value === 1');
      expect(await tab.evaluate('page.runs')).toBe(1);
      expect(await tab.evaluate('page.errors')).toEqual([]);
    });

    test('reads each chunk of an answer to a POST while it is open', async () => {
      const { site, open } = await visit();
      const tab = await open('a');
      let text = '';
      while (!text.includes('event: ready')) text += await tab.evaluate<string>('page.rawStream()');
      expect(text).toContain('event: hello');
      for (const action of ['packed', 'shipped']) {
        await site.change(action);
        while (!text.includes(`"action":"${action}"`)) text += await tab.evaluate<string>('page.rawStream()');
      }
    });

    test('a server that is restarted without its log', async () => {
      const { site, open } = await visit();
      const tab = await open('a');
      await site.change();
      await site.restart();
      const value = await site.change();
      measured('refresh after a restart', await site.seen('a', value));
      await tab.evaluate('page.live()');
      await site.seen('a', await site.change());
    });

    test('a network that is away for a while', async () => {
      const { site, open } = await visit();
      const tab = await open('a');
      await site.unplug();
      const value = await site.change();
      await untilTrue(tab, "page.status().state === 'reconnecting'");
      await site.plug();
      measured('refresh once reachable', await site.seen('a', value, 35_000));
      await tab.evaluate('page.live()');
    });

    if (!can.offline) return;
    test('offline, by the switch of the browser', async () => {
      const { site, open } = await visit();
      const tab = await open('a');
      await tab.offline?.(true);
      const value = await site.change();
      await site.unplug();
      await untilTrue(tab, "page.status().state === 'reconnecting'");
      await site.plug();
      await tab.offline?.(false);
      measured('refresh once online', await site.seen('a', value, 35_000));
      await tab.evaluate('page.live()');
    });
  });
}
