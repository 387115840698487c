/**
 * The cases of the adapter's contract for adapters whose connections live at a provider: what a provider loses, repeats,
 * reorders or refuses, no page ends stale, and nobody hears what they may not. Numbers in brackets are rows of the table. The
 * file is long because it is a list.
 */
import { channelOf } from '../channel.js';
import { assert, assertEqual, inTime } from './case.js';
import type { Page } from './page.js';
import { actionsOf, type Case, CHECKED, GIVEN_UP, type HostedCase, range, reasons } from './stage.js';

const ORDER = { entity: 'Order', id: 42 } as const;
const OTHER = { entity: 'Order', id: 43 } as const;

/** More channels than any connection of a provider should be asked to hold. */
const MANY = 250;
/** Longer than the core puts a read off, and shorter than the time between two checks, in milliseconds. */
const SOON = 5_000;
/** The life of a grant where it is to be renewed while a case runs, in milliseconds. */
const BRIEF = 2_000;

/** @param via the name of the adapter, as the status tells it */
export function hostedCases(via: string): readonly Case[] {
  const carried = ({ client }: Page) => {
    const status = client.status();
    return status.state === 'connected' && status.via === via && !status.degraded;
  };
  const fallenBack = ({ client }: Page) => {
    const status = client.status();
    return status.state === 'connected' && status.via === 'sse' && status.degraded;
  };

  const cases: readonly HostedCase[] = [
    [
      '[52] the provider carries: what is notified needs no request of the page',
      async ({ house, open, watch, quiet }) => {
        const page = open();
        const watched = [await watch(page, ORDER), await watch(page, { entity: 'Order' })];
        await page.until(() => carried(page), `via ${via}`);
        const before = house.requests();
        for (const n of range(5)) await house.notify(`n-${n}`, ORDER);
        await quiet(page);
        // Nor later: what was only put off for a moment has its time, and the next marker comes after it.
        page.pass(SOON);
        await quiet(page);
        assertEqual(house.requests(), before, 'requests of the page');
        assertEqual(
          watched.map((each) => each.received()),
          [5, 5],
          'notifications',
        );
      },
    ],
    [
      '[52] the provider goes down: the page hears on over the built-in SSE, and returns when it is up again',
      async ({ house, provider, open, watch, quiet }) => {
        const page = open();
        const watched = await watch(page, ORDER);
        await house.notify('before', ORDER);
        await quiet(page);
        await provider.down();
        await page.until(() => page.client.status().degraded, 'the page to notice');
        await house.notify('at-once', ORDER);
        page.pass(GIVEN_UP);
        await page.until(() => fallenBack(page), 'via sse, degraded');
        await page.until(() => actionsOf(watched).includes('at-once'), 'what was notified just after it went down');
        await house.notify('meanwhile', ORDER);
        await page.until(() => actionsOf(watched).includes('meanwhile'), 'what was notified while it was down');
        const late = await watch(page, OTHER);
        await provider.up();
        await page.soon(() => carried(page), `via ${via} again`);
        await house.notify('after', [ORDER, OTHER]);
        await quiet(page);
        assertEqual(actionsOf(watched), ['before', 'at-once', 'meanwhile', 'after'], 'what ran');
        assertEqual([watched.received(), late.received()], [4, 1], 'notifications');
        assertEqual(
          reasons(watched),
          range(4).map(() => 'notification'),
          'reasons',
        );
      },
    ],
    [
      '[52] the provider refuses: pages are on the built-in SSE at once, and return when it takes them',
      async ({ house, provider, open, watch, quiet }) => {
        const former = open('ann');
        const first = await watch(former, ORDER);
        await provider.refuse();
        const page = open('bob');
        const second = await watch(page, ORDER);
        assert(fallenBack(page), `a new page is not on the built-in SSE: ${JSON.stringify(page.client.status())}`);
        await former.soon(() => fallenBack(former), 'the page that was connected to be on the built-in SSE');
        await house.notify('meanwhile', ORDER);
        await former.until(() => first.runs.length > 0, 'the run of the first page');
        await page.until(() => second.runs.length > 0, 'the run of the second page');
        await provider.up();
        await former.soon(() => carried(former), `the first page via ${via} again`);
        await page.soon(() => carried(page), `the second page via ${via}`);
        await house.notify('after', ORDER);
        await quiet(former, page);
        assertEqual(
          [first, second].map(actionsOf),
          range(2).map(() => ['meanwhile', 'after']),
          'what ran',
        );
        assertEqual([first.received(), second.received()], [2, 2], 'notifications');
      },
    ],
    [
      '[30] what the provider loses in silence is found by the next check of the page',
      async ({ house, provider, open, watch, quiet }) => {
        const page = open();
        const watched = await watch(page, ORDER);
        await page.until(() => carried(page), `via ${via}`);
        await provider.drop(1);
        await house.notify('lost', ORDER);
        await house.notify('next', ORDER);
        await quiet(page);
        // Else the rest would prove nothing.
        assertEqual(actionsOf(watched), ['next'], 'what ran before the check');
        page.pass(CHECKED);
        await page.until(() => actionsOf(watched).includes('lost'), 'what was lost');
        await quiet(page);
        assertEqual([actionsOf(watched), watched.received()], [['next', 'lost'], 2], 'what ran');
      },
    ],
    [
      '[36] a loss that the provider admits leads to a read at once',
      async ({ house, provider, open, watch, quiet }) => {
        const page = open();
        const watched = await watch(page, ORDER);
        await page.until(() => carried(page), `via ${via}`);
        await provider.drop(1);
        await house.notify('lost', ORDER);
        await quiet(page);
        assertEqual(actionsOf(watched), [], 'what ran before it was admitted');
        await provider.lose();
        await page.until(() => actionsOf(watched).includes('lost'), 'what was lost');
        await page.until(() => carried(page), `via ${via}`);
        await quiet(page);
        assertEqual([actionsOf(watched), watched.received()], [['lost'], 1], 'what ran');
      },
    ],
    [
      '[32] [33] messages that arrive late, twice and in the wrong order are each heard once',
      async ({ house, provider, open, watch, quiet }) => {
        const page = open();
        const objects = range(5).map((id) => ({ entity: 'Order', id }));
        const watched = await Promise.all(objects.map((object) => watch(page, object)));
        await page.until(() => carried(page), `via ${via}`);
        const all = provider.hold(objects.length + 1);
        await house.notify('first', objects);
        await house.notify('second', { entity: 'Order', id: 0 });
        await inTime(all, 'the messages', page.patience);
        provider.release();
        await quiet(page);
        const received = (): number[] => watched.map((each) => each.received());
        assertEqual(received(), [2, 1, 1, 1, 1], 'notifications');
        // So late that a read has brought it by then.
        const late = provider.hold(1);
        await house.notify('third', { entity: 'Order', id: 1 });
        await inTime(late, 'the message', page.patience);
        page.pass(CHECKED);
        await page.until(() => received()[1] === 2, 'the read to bring what is late');
        provider.release();
        await quiet(page);
        assertEqual(received(), [2, 2, 1, 1, 1], 'notifications in the end');
        assert(
          watched.every((each) => reasons(each).every((reason) => reason === 'notification')),
          'a page refreshed without a notification although nothing was lost',
        );
      },
    ],
    [
      '[46] renewing its grants costs a page nothing that is notified',
      async ({ house, provider, openAt }) => {
        const next = await provider.neighbour({ grantLife: BRIEF });
        const page = openAt(next);
        const vias = new Set<string | undefined>();
        page.client.onStatus(() => {
          const { state, via: how } = page.client.status();
          if (state === 'connected') vias.add(how);
        });
        const position = await next.position();
        const watched = page.listen(ORDER, { position });
        await inTime(watched.listening.ready, 'ready', page.patience);
        await page.until(() => carried(page), `via ${via}`);
        for (const round of range(2)) {
          const { auth } = house.requests();
          await next.notify(`n-${round}`, ORDER);
          await page.until(() => actionsOf(watched).includes(`n-${round}`), 'the run');
          await page.until(() => house.requests().auth > auth, 'the page to ask for new grants');
        }
        // Its link comes after the one with the new grants, whatever became of that one.
        await inTime(page.listen(OTHER, { position }).listening.ready, 'ready after the renewals', page.patience);
        await next.notify('after', [ORDER, OTHER]);
        await page.until(() => actionsOf(watched).includes('after'), 'the run after the renewals');
        assertEqual([actionsOf(watched), watched.received()], [['n-0', 'n-1', 'after'], 3], 'what ran');
        assertEqual([...vias], [via], 'how it was connected');
      },
    ],
    [
      `[41] ${MANY} objects on one page, whatever one connection can hold`,
      async ({ house, open, quiet }) => {
        const page = open();
        const position = await house.position();
        const objects = range(MANY).map((id) => ({ entity: 'Order', id }));
        const watched = objects.map((object) => page.listen(object, { position }));
        const ready = Promise.all(watched.map(({ listening }) => listening.ready));
        await inTime(ready, 'all of them to be ready', page.patience);
        await page.until(() => page.client.status().via === via, `via ${via}`);
        // Some of them, the first and the last included: a provider may take no more than fifty messages a second.
        const some = objects.filter(({ id }) => id % 25 === 0 || id === MANY - 1);
        await house.notify('shipped', some);
        await page.until(() => some.every(({ id }) => (watched[id]?.runs.length ?? 0) > 0), 'the runs');
        for (const [id, each] of watched.entries()) if (id % 10 !== 0 && id % 25 !== 0) each.close();
        await quiet(page);
        assertEqual(
          watched.flatMap((each, id) => range(each.received()).map(() => id)),
          some.map(({ id }) => id),
          'the objects that heard, each once',
        );
      },
    ],
    [
      '[59] a connection hears only what its grants cover, whatever it asks for',
      async ({ house, provider, refuse }) => {
        refuse('ann', ORDER);
        const tap = await provider.tap({ user: 'ann' }, [ORDER, OTHER]);
        await tap.until(() => tap.denied.has(channelOf(ORDER)), 'the answer that one channel is not covered');
        await tap.until(() => tap.attached > 0, 'the rest to be attached');
        await house.notify('first', [ORDER, OTHER]);
        await house.notify('second', OTHER);
        await tap.until(() => tap.heard.some(({ action }) => action === 'second'), 'what it may hear');
        assertEqual(
          tap.heard.map(({ id, action }) => [id, action]),
          [
            ['43', 'first'],
            ['43', 'second'],
          ],
          'what it heard',
        );
      },
    ],
    [
      '[4] [5] at the provider itself, what is addressed to somebody else is not heard',
      async ({ house, provider }) => {
        const tap = await provider.tap({ user: 'bob', session: 's-bob' }, [ORDER]);
        await tap.until(() => tap.attached > 0, 'it to be attached');
        await house.notify('to-ann', ORDER, { to: { users: ['ann'] } });
        await house.notify('to-her-desk', ORDER, { to: { sessions: ['s-ann'] } });
        await house.notify('to-bob', ORDER, { to: { users: ['bob'] } });
        await house.notify('to-everybody', ORDER);
        const has = (action: string) => tap.heard.some((each) => each.action === action);
        await tap.until(() => has('to-bob') && has('to-everybody'), 'what it may hear');
        assertEqual(tap.heard.map(({ action }) => action).sort(), ['to-bob', 'to-everybody'], 'what it heard');
      },
    ],
    [
      '[65] a right that is revoked ends at the provider itself: a connection that ignores it is cut off',
      async ({ house, provider, open, watch, refuse }) => {
        const [bob, tap] = [open('bob'), await provider.tap({ user: 'ann' }, [ORDER, OTHER])];
        const his = await watch(bob, ORDER);
        await tap.until(() => tap.attached > 0, 'it to be attached');
        await house.notify('before', ORDER);
        await tap.until(() => tap.heard.length > 0, 'what it may hear');
        refuse('ann', ORDER);
        const { attached } = tap;
        await house.revoke('ann', ORDER);
        await tap.until(() => tap.denied.has(channelOf(ORDER)), 'the answer that one channel is not covered any more');
        await tap.until(() => tap.attached > attached, 'the rest to be attached again');
        for (const action of ['after', 'and-after']) {
          await house.notify(action, ORDER);
          await bob.until(() => actionsOf(his).includes(action), 'what bob may hear');
          await house.notify(action, OTHER);
          await tap.until(() => tap.heard.some((each) => each.action === action), 'what it may still hear');
        }
        assertEqual(
          tap.heard.map(({ id, action }) => [id, action]),
          [
            ['42', 'before'],
            ['43', 'after'],
            ['43', 'and-after'],
          ],
          'what it heard',
        );
      },
    ],
    [
      '[66] two namespaces at one provider account never hear each other',
      async ({ house, provider }) => {
        const next = await provider.neighbour();
        const applications = [
          { name: 'home', notify: house.notify, tap: await provider.tap({ user: 'ann' }, [ORDER]) },
          { name: 'next', notify: next.notify, tap: await next.tap({ user: 'ann' }, [ORDER]) },
        ];
        for (const { tap } of applications) await tap.until(() => tap.attached > 0, 'it to be attached');
        for (const round of range(2)) {
          for (const { name, notify, tap } of applications) {
            await notify(`${name}-${round}`, ORDER);
            await notify(`${name}-${round}-to`, ORDER, { to: { users: ['ann'] } });
            await tap.until(() => tap.heard.length >= 2 * (round + 1), `what ${name} was told`);
          }
        }
        for (const { name, tap } of applications)
          assertEqual(
            tap.heard.map(({ action }) => action).sort(),
            range(2).flatMap((round) => [`${name}-${round}`, `${name}-${round}-to`]),
            `what ${name} heard`,
          );
      },
    ],
  ];

  return cases.map(([name, run]) => [
    name,
    async (stage) => {
      const { provider } = stage.house;
      assert(provider !== undefined, 'the option `hosted` needs a house with `provider`');
      await run({ ...stage, provider, via });
    },
  ]);
}
