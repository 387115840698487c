/** The cases of the adapter's contract for several server nodes on one log. Numbers in brackets are rows of the table. */
import { assert, assertEqual } from './case.js';
import { actionsOf, type Case, range, type Stage } from './stage.js';

/** By how much clocks are wrong, in milliseconds. */
const HOURS = 3 * 3_600_000;
const ORDER = { entity: 'Order', id: 42 } as const;

function nodesOf({ house: { nodes } }: Stage): NonNullable<typeof nodes> {
  assert(nodes !== undefined, 'the option `nodes` needs a house with `nodes`');
  return nodes;
}

export const nodeCases: readonly Case[] = [
  [
    '[68] what one node is told arrives at the pages of every node, once',
    async (stage) => {
      const { house, open, watch, quiet } = stage;
      const page = open('ann');
      const watched = [await watch(page, ORDER), await watch(page, { entity: 'Order' })];
      await house.notify('shipped', ORDER);
      // Else the second one may be merged into it.
      await page.until(() => watched.every(({ runs }) => runs.length > 0), 'what this node was told');
      await nodesOf(stage).add();
      const late = open('bob');
      const later = await watch(late, ORDER);
      await house.notify('updated', ORDER);
      await page.until(() => watched.every(({ runs }) => runs.length > 1), 'what the other node was told');
      await quiet(page, late);
      assertEqual(
        watched.map(actionsOf),
        range(2).map(() => ['shipped', 'updated']),
        'what ran at the first page',
      );
      assertEqual(
        watched.map((each) => each.received()),
        [2, 2],
        'notifications at the first page',
      );
      assertEqual([actionsOf(later), later.received()], [['updated'], 1], 'what ran at the second page');
    },
  ],
  [
    '[34] clocks that are hours apart lose nothing',
    async (stage) => {
      const { house, openElsewhen, quiet } = stage;
      const pages = [-HOURS, HOURS].map(openElsewhen);
      for (const page of pages) {
        // What changed after the load began, by the clock of the page, is a run; whose clock is right does not matter.
        const loadedAt = page.now();
        await house.notify('shipped', ORDER);
        const watched = page.listen(ORDER, { loadedAt });
        await page.until(() => watched.runs.length > 0, 'the run for the load race');
        await quiet(page);
        const loads = watched.runs.length;
        await house.notify('updated', ORDER);
        await page.until(() => watched.runs.length > loads, 'the run after it');
        await quiet(page);
        assertEqual([actionsOf(watched).at(-1), watched.received()], ['updated', 1], 'what was heard');
        watched.close();
      }
    },
  ],
  [
    '[38] a node that goes away takes nothing along',
    async (stage) => {
      const { house, open, watch, quiet, back } = stage;
      const page = open();
      const watched = await Promise.all(range(3).map((id) => watch(page, { entity: 'Order', id })));
      const tell = async (action: string): Promise<void> => {
        for (const id of range(3)) await house.notify(action, { entity: 'Order', id });
      };
      await tell('before');
      await nodesOf(stage).add();
      const leaving = nodesOf(stage).leave();
      await tell('during');
      await leaving;
      await tell('after');
      await back(page, () => watched.every((each) => actionsOf(each).includes('after')), 'what was notified last');
      await quiet(page);
      const received = (action: string): number =>
        new Set(
          page.traces.filter(({ notification }) => notification?.action === action).map(({ object }) => object.id),
        ).size;
      assertEqual(['before', 'during', 'after'].map(received), [3, 3, 3], 'objects that heard each');
      assertEqual(
        watched.map((each) => each.received()),
        [3, 3, 3],
        'notifications',
      );
    },
  ],
];
