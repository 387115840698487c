/** The tab that holds the connection of all: however it goes, another one takes its place, and nothing is lost. */
import { describe, expect, test } from 'vitest';
import { type Browsing, goBack, leave, oneConnection, untilTrue, type Visit, type Visitor } from '../visit.js';

/** Every 5 s it is asked for, 5 s it may take to answer; on a busy machine all of it takes longer. Milliseconds. */
const SILENCE = 25_000;
/** The browser gives a lock back by itself: milliseconds, and generous. */
const HANDOVER = 8_000;

interface Led extends Visit {
  readonly leader: Visitor;
  readonly others: readonly Visitor[];
  /** Another tab than the leader of the beginning holds the only connection of those that live. */
  replaced(within: number): Promise<number>;
}

export function leader({ visit, measured, can }: Browsing): void {
  /** Three tabs, of which the first one leads. */
  async function led(own = false): Promise<Led> {
    const visited = await visit(own);
    const { site, open } = visited;
    const [first, ...others] = [await open('a'), await open('b'), await open('c')] as const;
    await site.until(() => site.streams().length === 1, 'one leads');
    const [name] = site.streams();
    expect(name).toBe('a');
    return {
      ...visited,
      leader: first,
      others,
      replaced: (within) => site.until(() => site.streams().some((tab) => tab !== 'a'), 'another tab leads', within),
    };
  }

  /** The tabs are fresh, one after the other, in front. */
  async function areFresh({ site }: Visit, tabs: readonly Visitor[], value: number): Promise<void> {
    for (const tab of tabs) {
      await tab.show();
      await site.seen(tab.name, value);
    }
  }

  describe('the leading tab', () => {
    test('is closed', async () => {
      const house = await led();
      await house.leader.close();
      const value = await house.site.change();
      measured('replaced after it was closed', await house.replaced(HANDOVER));
      await areFresh(house, house.others, value);
      await areFresh(house, house.others, await house.site.change());
      await oneConnection(house.site);
    });

    test('crashes', async () => {
      const { site, leader: first, others, ...house } = await led(!can.survives);
      process.kill(await first.process(), 'SIGKILL');
      const value = await site.change();
      measured('replaced after a crash', await house.replaced(HANDOVER));
      // Where nothing can be asked any more, windows are all in front: they refresh by themselves.
      if (can.survives) await areFresh({ site, ...house }, others, value);
      else for (const tab of others) await site.seen(tab.name, value);
      // Firefox closes the connection of a page that crashed when something comes over it.
      const next = await site.change();
      await (can.survives ? areFresh({ site, ...house }, others, next) : site.seen('c', next));
      await oneConnection(site);
    });

    test('stands still with its process', async () => {
      const house = await led();
      const { site, leader: first, others } = house;
      const pid = await first.process();
      for (const other of others) expect(await other.process()).not.toBe(pid);
      process.kill(pid, 'SIGSTOP');
      const value = await site.change();
      try {
        measured('replaced after it fell silent', await house.replaced(SILENCE));
        await areFresh(house, others, value);
      } finally {
        process.kill(pid, 'SIGCONT');
      }
      await areFresh(house, [first], value);
      await areFresh(house, [first, ...others], await site.change());
      await oneConnection(site);
    });

    test('stays hidden while another one is seen', async () => {
      const house = await led();
      const { site, leader: first, others } = house;
      const [seen] = others as [Visitor, ...Visitor[]];
      await first.hide();
      await seen.show();
      await untilTrue(first, "document.visibilityState === 'hidden'");
      await site.seen(seen.name, await site.change());
      measured('replaced while hidden', await house.replaced(SILENCE));
      await areFresh(house, [first, ...others], await site.change());
      await oneConnection(site);
    });

    test('is left, and returned to', async () => {
      const house = await led();
      const { site, leader: first, others } = house;
      const left = [house.replaced(HANDOVER), leave(first, site.elsewhere), site.change()] as const;
      const [replaced, , value] = await Promise.all(left);
      measured('replaced after it was left', replaced);
      await areFresh(house, others, value);
      await first.show();
      await goBack(first);
      await first.evaluate('page.live()');
      await areFresh(house, [first], value);
      if (can.keeps) expect(await first.evaluate('page.restored')).toBe(1);
      await areFresh(house, [first, ...others], await site.change());
      await oneConnection(site);
    });

    if (!can.freezes) return;
    test('is frozen', async () => {
      const house = await led();
      const { site, leader: first, others } = house;
      // The last one opened is in front.
      const [frozen, , value] = await Promise.all([house.replaced(HANDOVER), first.freeze?.(true), site.change()]);
      measured('replaced after it was frozen', frozen);
      await areFresh(house, others, value);
      await first.freeze?.(false);
      await areFresh(house, [first], value);
      await areFresh(house, [first, ...others], await site.change());
      await oneConnection(site);
    });
  });
}
