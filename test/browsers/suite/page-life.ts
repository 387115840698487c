/** One page that is hidden, left and returned to, frozen, or stopped: it is fresh when it is seen again. */
import { describe, expect, test } from 'vitest';
import { type Browsing, goBack, leave, untilTrue } from '../visit.js';

export function pageLife({ visit, measured, can }: Browsing): void {
  describe('the life of a page', () => {
    test('a hidden page waits, and runs once when it is seen', async () => {
      const { site, open } = await visit();
      const tab = await open('a');
      await tab.hide();
      await untilTrue(tab, "document.visibilityState === 'hidden'");
      for (const action of ['packed', 'shipped', 'delivered']) await site.change(action);
      await tab.evaluate("page.hears('delivered')");
      expect(await tab.evaluate('page.runs')).toBe(0);
      const [shown] = await Promise.all([site.seen('a', 3), tab.show()]);
      measured('refresh once seen', shown);
      await site.seen('a', await site.change('returned'));
      expect(await tab.evaluate('page.runs')).toBe(2);
    });

    test('left and returned to, it reads once, and listens again', async () => {
      const { site, open } = await visit();
      const tab = await open('a');
      await leave(tab, site.elsewhere);
      await site.until(
        () => site.server().notifier.metrics().connections === 0,
        'the page that was left holds nothing',
      );
      const reads = site.reads('a');
      const value = await site.change();
      const [back] = await Promise.all([site.seen('a', value), goBack(tab)]);
      measured('refresh once back', back);
      await tab.evaluate('page.live()');
      if (can.keeps) {
        const why = "JSON.stringify(performance.getEntriesByType('navigation')[0]?.notRestoredReasons ?? null)";
        expect(await tab.evaluate('page.restored'), await tab.evaluate(why)).toBe(1);
      }
      await site.seen('a', await site.change());
      // One that is loaded anew reads as a new page, and once more where it is in doubt.
      expect(site.reads('a') - reads).toBeLessThanOrEqual(can.keeps ? 2 : 3);
      await untilTrue(tab, 'page.value === 2');
    });

    test('a page whose process stood still, while its connection was cut', async () => {
      const { site, open } = await visit();
      const tab = await open('a');
      const pid = await tab.process();
      process.kill(pid, 'SIGSTOP');
      await site.unplug();
      const value = await site.change();
      await site.plug();
      process.kill(pid, 'SIGCONT');
      measured('refresh once running', await site.seen('a', value));
      await site.seen('a', await site.change());
    });

    if (!can.freezes) return;
    test('a frozen page', async () => {
      const { site, open } = await visit();
      const tab = await open('a');
      await tab.hide();
      await tab.freeze?.(true);
      const value = await site.change();
      const [thawed] = await Promise.all([site.seen('a', value), tab.freeze?.(false).then(tab.show)]);
      measured('refresh once thawed', thawed);
      await site.seen('a', await site.change());
    });
  });
}
