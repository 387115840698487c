/**
 * The contract suite of an adapter, seen end to end: what is notified on a server reaches the listeners of pages, through
 * whatever both halves and the core between them do. Numbers in brackets are rows of the project's feature table.
 *
 * "Nothing came" is proved by a marker that is notified later: what a link carries keeps its order. The file is long
 * because it is a list: one case for each promise.
 */
import type { ObjectRef } from '../contract.js';
import { ListenError } from '../errors.js';
import { sameObject } from '../notification.js';
import type { Position } from '../position.js';
import type { AdapterHouse } from './adapter-house.js';
import { assert, assertEqual, type ContractCase, inTime, PATIENCE } from './case.js';
import { CONTRACT_ENTITIES, NAMES } from './entities.js';
import { hostedCases } from './hosted-cases.js';
import { nodeCases } from './node-cases.js';
import type { Page, Watched } from './page.js';
import { actionsOf, type Case, onStage, positionOf, range, reasons, USERS } from './stage.js';

export interface AdapterContractOptions {
  /** How long a case waits for what must come, in milliseconds, before it fails. Default 5,000; with `hosted` 10,000. */
  readonly patience?: number;
  /** How often a race is tried. Default 40; with `hosted` 15, since each costs several requests. */
  readonly rounds?: number;
  /**
   * The name of the adapter, as `via` tells it, when its connections live at a provider: the house must have `provider`.
   * Adds the cases of what providers do, and takes it that order is kept within one channel only.
   */
  readonly hosted?: string;
  /** The house has `nodes`. Adds the cases of several servers on one log. Default `false`. */
  readonly nodes?: boolean;
}

const ORDER = { entity: 'Order', id: 42 } as const;
/**
 * The cases of the adapter's contract.
 *
 * @param factory makes a server, called once for each case. It must ask `mayListen` about every object of
 *   {@link CONTRACT_ENTITIES}, and allow no other.
 */
export function adapterContract(
  factory: (mayListen: (user: string, object: ObjectRef) => boolean) => AdapterHouse | Promise<AdapterHouse>,
  {
    hosted,
    nodes = false,
    patience = hosted === undefined ? PATIENCE : 2 * PATIENCE,
    rounds = hosted === undefined ? 40 : 15,
  }: AdapterContractOptions = {},
): ContractCase[] {
  const refusedWith = async (ready: Promise<void>): Promise<string> =>
    inTime(
      ready.then(
        () => 'ready',
        (error: unknown) => (error instanceof ListenError ? error.code : String(error)),
      ),
      'ready to settle',
      patience,
    );

  const publishing: Case[] = [
    [
      '[1] only the listeners of this object and action run',
      async ({ house, open, watch, quiet }) => {
        const page = open();
        const seen: string[] = [];
        const actions = (name: string) => (note: () => void) => ({
          shipped: () => {
            seen.push(`${name} shipped`);
            note();
          },
          updated: () => {
            seen.push(`${name} updated`);
            note();
          },
        });
        await watch(page, ORDER, (note) => actions('42')(() => note({} as never)));
        await watch(page, { entity: 'Order', id: 43 }, (note) => actions('43')(() => note({} as never)));
        await watch(page, { entity: 'Invoice', id: 42 }, (note) => actions('invoice')(() => note({} as never)));
        await house.notify('shipped', ORDER);
        await quiet(page);
        await house.notify('updated', { entity: 'Order', id: 43 });
        await house.notify('deleted', ORDER);
        await quiet(page);
        assertEqual(seen, ['42 shipped', '43 updated'], 'callbacks that ran');
      },
    ],
    [
      '[1] [26] what is notified is told: object, action, notifier, date, detail; "*" hears every action once',
      async ({ house, open, watch, quiet }) => {
        const page = open();
        const all = await watch(page, ORDER);
        const answer = await house.notify(
          'shipped',
          { ...ORDER, changedDate: 7 },
          { notifier: 'Ann', detail: { n: [1] } },
        );
        await quiet(page);
        assertEqual(
          all.runs.map(({ notification }) => notification),
          [
            {
              entity: 'Order',
              id: '42',
              action: 'shipped',
              changedDate: 7,
              notifier: 'Ann',
              detail: { n: [1] },
              position: positionOf(answer),
            },
          ],
          'what the callback was told',
        );
      },
    ],
    [
      '[7] a list hears of each of its objects, without which and who; a notification on the entity reaches its objects',
      async ({ house, open, watch, quiet }) => {
        const page = open();
        const list = await watch(page, { entity: 'Order' });
        const object = await watch(page, ORDER);
        const invoice = await watch(page, { entity: 'Invoice', id: 42 });
        await house.notify('shipped', { ...ORDER, changedDate: 7 }, { notifier: 'Ann' });
        await quiet(page);
        await house.notify('imported', { entity: 'Order' });
        await quiet(page);
        assertEqual(
          object.runs.map(({ notification }) => notification?.action),
          ['shipped', 'imported'],
          'object',
        );
        assertEqual(
          list.runs.map(({ notification }) => notification?.action),
          ['shipped', 'imported'],
          'list',
        );
        for (const key of ['id', 'notifier', 'changedDate']) {
          assert(!(key in (list.runs[0]?.notification ?? {})), `the list was told the ${key}`);
        }
        assertEqual(invoice.received(), 0, 'notifications at another entity');
      },
    ],
    [
      '[7] who holds only the list is told neither the object, nor who, nor when',
      async ({ house, open, watch, quiet, refuse }) => {
        refuse('ann', ORDER);
        const page = open('ann');
        const list = await watch(page, { entity: 'Order' });
        await house.notify('shipped', { ...ORDER, changedDate: 7 }, { notifier: 'Bob', detail: 'secret' });
        await quiet(page);
        const told = list.runs.map(({ notification }) => Object.keys(notification ?? {}).sort());
        assertEqual(told, [['action', 'entity', 'position']], 'what the list was told');
      },
    ],
    [
      '[4] addressed to a user: nobody else hears of it',
      async ({ house, open, watch, quiet }) => {
        const [ann, bob] = [open('ann'), open('bob')];
        const [hers, his] = [await watch(ann, ORDER), await watch(bob, ORDER)];
        await house.notify('shipped', ORDER, { to: { users: ['ann'] } });
        // What is addressed to bob travels on the channel on which hers would have come to him.
        await house.notify('updated', ORDER, { to: { users: ['bob'] } });
        await ann.until(() => hers.runs.length > 0, 'what is for ann');
        await bob.until(() => his.runs.length > 0, 'what is for bob');
        await quiet(ann, bob);
        assertEqual([actionsOf(hers), actionsOf(his)], [['shipped'], ['updated']], 'what ran at ann and bob');
        assertEqual([hers.received(), his.received()], [1, 1], 'notifications at ann and bob');
      },
    ],
    [
      '[5] addressed to a login session: another one of the same user does not hear of it',
      async ({ house, open, watch, quiet }) => {
        const [desk, phone] = [open('ann', 's-desk'), open('ann', 's-phone')];
        const [here, there] = [await watch(desk, ORDER), await watch(phone, ORDER)];
        await house.notify('shipped', ORDER, { to: { sessions: ['s-desk'] } });
        await house.notify('updated', ORDER, { to: { sessions: ['s-phone'] } });
        await desk.until(() => here.runs.length > 0, 'what is for the desk');
        await phone.until(() => there.runs.length > 0, 'what is for the phone');
        await quiet(desk, phone);
        assertEqual([actionsOf(here), actionsOf(there)], [['shipped'], ['updated']], 'what ran at the desk and phone');
        assertEqual([here.received(), there.received()], [1, 1], 'notifications at the desk and the phone');
      },
    ],
    [
      '[6] those who are left out do not run, everybody else does',
      async ({ house, open, watch, quiet }) => {
        const [desk, phone, bob] = [open('ann', 's-desk'), open('ann', 's-phone'), open('bob')];
        const watched = [await watch(desk, ORDER), await watch(phone, ORDER), await watch(bob, ORDER)];
        await house.notify('shipped', ORDER, { except: { sessions: ['s-desk'] } });
        await quiet(desk, phone, bob);
        assertEqual(
          watched.map(({ runs }) => runs.length),
          [0, 1, 1],
          'runs at the desk, the phone and bob',
        );
        await house.notify('updated', ORDER, { except: { users: ['ann'] } });
        await quiet(desk, phone, bob);
        assertEqual(
          watched.map(({ runs }) => runs.length),
          [0, 1, 2],
          'runs at the desk, the phone and bob',
        );
      },
    ],
    [
      '[60] any name is one object and no other',
      async ({ house, open, watch, quiet }) => {
        const page = open();
        const objects: { entity: string; id?: string }[] = [
          ...NAMES.map((id) => ({ entity: 'Order', id })),
          ...NAMES.map((entity) => ({ entity, id: 'x' })),
          ...NAMES.map((entity) => ({ entity })),
        ];
        const watched = await Promise.all(objects.map((object) => watch(page, object)));
        // Each with an action of its own, so that none of them is merged with another.
        for (const [index, object] of objects.entries())
          if (object.id !== undefined) await house.notify(`updated-${index}`, object);
        await quiet(page);
        for (const [index, object] of objects.entries()) {
          const concerns = ({ entity, id }: { entity: string; id?: string }): boolean =>
            entity === object.entity && id !== undefined && (object.id === undefined || object.id === id);
          const heard = page.traces.filter(
            (trace) => sameObject(trace.object, object) && trace.notification?.action.startsWith('updated-'),
          );
          assertEqual(
            [...new Set(heard.map(({ notification }) => notification?.action))].sort(),
            objects.flatMap((each, at) => (concerns(each) ? [`updated-${at}`] : [])).sort(),
            `what was heard of ${JSON.stringify(object)}`,
          );
          assertEqual(watched[index]?.received(), objects.filter(concerns).length, 'notifications');
        }
      },
    ],
  ];

  const listening: Case[] = [
    [
      '[17] [41] fifty listeners on one object are one question, one link and one subscription',
      async ({ house, open, watch, quiet }) => {
        const page = open();
        const before = house.requests();
        const watched = await Promise.all(range(50).map(() => watch(page, ORDER)));
        const { auth, links } = house.requests();
        assertEqual([auth - before.auth, links - before.links], [1, 1], 'questions and links');
        await house.notify('shipped', ORDER);
        await quiet(page);
        assertEqual(watched.filter(({ runs }) => runs.length === 1).length, 50, 'listeners that ran once');
        for (const each of watched.slice(1)) each.close();
        await house.notify('shipped', ORDER);
        await quiet(page);
        assertEqual(
          watched.map(({ runs }) => runs.length),
          [2, ...range(49).map(() => 1)],
          'runs',
        );
      },
    ],
    [
      '[18] what is notified in the moment in which ready resolves is never lost',
      async ({ house, open, quiet }) => {
        const page = open();
        for (const id of range(rounds)) {
          const object = { entity: 'Order', id };
          const watched = page.listen(object, { position: await house.position() });
          await inTime(watched.listening.ready, 'ready', patience);
          void house.notify('shipped', object);
          await page.until(() => watched.runs.length > 0, `the run of round ${id}`);
          watched.close();
        }
        await quiet(page);
      },
    ],
    [
      '[18] what is notified while a listener begins is never lost: it is a run, for the notification or for the load',
      async ({ house, open, quiet }) => {
        const page = open();
        const turns = async (count: number): Promise<void> => {
          for (let turn = 0; turn < count; turn++) await undefined;
          // Every fourth round a little later still: behind the next timers and sockets.
          if (count % 4 === 3) await new Promise((resolve) => setTimeout(resolve, count / 8));
        };
        for (const id of range(rounds)) {
          const object = { entity: 'Order', id };
          const position = await house.position();
          const notified = turns(id).then(() => house.notify('shipped', object));
          const watched = page.listen(object, { position });
          await notified;
          await page.until(() => watched.runs.length > 0, `the run of round ${id}`);
          watched.close();
        }
        await quiet(page);
      },
    ],
    [
      '[18] two listeners of one object that are mounted apart both get their load race',
      async ({ house, open, watch, quiet }) => {
        const page = open();
        const position = await house.position();
        const first = await watch(page, ORDER);
        await house.notify('shipped', ORDER);
        await quiet(page);
        const second = page.listen(ORDER, { position });
        await page.until(() => second.runs.length > 0, 'the run of the second listener');
        const third = await watch(page, ORDER);
        await quiet(page);
        assertEqual([reasons(first), reasons(second), reasons(third)], [['notification'], ['load'], []], 'reasons');
      },
    ],
    [
      '[19] a refusal rejects its own listener and touches no other',
      async ({ house, open, refuse, quiet, watch }) => {
        refuse('ann', { entity: 'Order', id: 3 });
        const page = open('ann');
        const watched = range(5).map((id) => page.listen({ entity: 'Order', id }));
        const ends = await Promise.all(watched.map(({ listening }) => refusedWith(listening.ready)));
        assertEqual(ends, ['ready', 'ready', 'ready', 'refused', 'ready'], 'ends of ready');
        assertEqual(watched[3]?.listening.error?.code, 'refused', 'the error of the refused listener');
        await watch(page, ORDER);
        for (const id of range(5)) await house.notify('shipped', { entity: 'Order', id });
        await quiet(page);
        assertEqual(
          watched.map((each) => each.received()),
          [1, 1, 1, 0, 1],
          'notifications',
        );
      },
    ],
    [
      '[20] closed before it was ready, a listener settles',
      async ({ open }) => {
        const page = open();
        const { listening } = page.listen(ORDER);
        listening.close();
        listening.close();
        assertEqual(await refusedWith(listening.ready), 'closed', 'the end of ready');
      },
    ],
    [
      '[21] a row with `once` runs for one notification',
      async ({ house, open, watch, quiet }) => {
        const page = open();
        const once = await watch(page, ORDER, (run) => [{ on: 'shipped', run, once: true }]);
        await house.notify('shipped', ORDER);
        await quiet(page);
        await house.notify('shipped', ORDER);
        await quiet(page);
        assertEqual(reasons(once), ['notification'], 'runs');
      },
    ],
    [
      '[22] after close no callback starts, even for what has arrived',
      async ({ house, open, watch, quiet, marked }) => {
        const page = open();
        const second: { watched?: Watched } = {};
        await watch(page, ORDER, () => ({ '*': () => second.watched?.close() }));
        second.watched = await watch(page, ORDER);
        const { watched } = second;
        await house.notify('shipped', ORDER);
        await page.until(() => watched.received() > 0, 'the notification');
        await inTime(refusedWith(watched.listening.ready), 'ready', patience);
        await page.until(() => page.traces.some(({ fate }) => fate === 'ran'), 'the first run');
        await house.notify('shipped', ORDER);
        await marked(page);
        assertEqual(watched.runs, [], 'runs of the listener that was closed');
        await quiet();
      },
    ],
    [
      '[23] an object that is left and listened to again at once costs no traffic; another one costs one question',
      async ({ house, open, watch, quiet }) => {
        const page = open();
        const first = await watch(page, ORDER);
        const before = house.requests();
        first.close();
        const again = await watch(page, { entity: 'Order', id: '42' });
        assertEqual(house.requests(), before, 'requests after listening to an equal object');
        again.close();
        const other = await watch(page, { entity: 'Order', id: 43 });
        assertEqual(house.requests().auth - before.auth, 1, 'questions for another object');
        await house.notify('shipped', [ORDER, { entity: 'Order', id: 43 }]);
        await quiet(page);
        assertEqual([again.runs.length, other.runs.length], [0, 1], 'runs');
      },
    ],
    [
      '[28] a callback that throws harms no other, and not the next notification',
      async ({ house, open, watch, quiet }) => {
        const page = open();
        await watch(page, ORDER, () => [
          {
            on: '*',
            retry: false,
            run: () => {
              throw new Error('mine');
            },
          },
        ]);
        const other = await watch(page, ORDER);
        await house.notify('shipped', ORDER);
        await quiet(page);
        await house.notify('shipped', ORDER);
        await quiet(page);
        assertEqual(other.runs.length, 2, 'runs of the other');
        assertEqual(page.errors.map(String), ['Error: mine', 'Error: mine'], 'what reached onError');
      },
    ],
    [
      '[29] listeners may come and go inside callbacks',
      async ({ house, open, watch, marked }) => {
        const page = open();
        const position = await house.position();
        const born: Watched[] = [];
        const first = await watch(page, ORDER, (note) => ({
          '*': (refresh) => {
            note(refresh);
            first.close();
            born.push(page.listen(ORDER, { position }), page.listen({ entity: 'Order', id: 43 }, { position }));
          },
        }));
        const last = await watch(page, ORDER);
        await house.notify('shipped', ORDER);
        await page.until(
          () => (born[0]?.runs.length ?? 0) > 0,
          'the load run of the listener that was born in a callback',
        );
        await house.notify('shipped', [ORDER, { entity: 'Order', id: 43 }]);
        await page.until(() => (born[1]?.runs.length ?? 0) > 0, 'the run of the other one');
        // A listener that closes itself while it runs says nothing of the end of that run, so `quiet` would wait for it.
        await page.until(() => last.runs.length === 2, 'the second run of the last');
        await marked(page);
        assertEqual([first.runs.length, last.runs.length], [1, 2], 'runs');
      },
    ],
  ];

  const reliability: Case[] = [
    [
      '[30] what was notified while a page was cut off arrives when it is back',
      async ({ house, open, watch, quiet, cut, back }) => {
        const page = open();
        const watched = await Promise.all(range(5).map((id) => watch(page, { entity: 'Order', id })));
        await cut(page);
        for (const id of [0, 1, 2, 2, 3]) await house.notify('shipped', { entity: 'Order', id });
        await house.connect();
        await back(page, () => watched.slice(0, 4).every(({ runs }) => runs.length > 0), 'the runs');
        await quiet(page);
        assertEqual(
          watched.map(reasons),
          [['notification'], ['notification'], ['notification'], ['notification'], []],
          'reasons',
        );
      },
    ],
    [
      '[30] cut at any point, no page ends stale',
      async ({ house, open, watch, quiet, back }) => {
        const page = open();
        const watched = await Promise.all(range(10).map((id) => watch(page, { entity: 'Order', id })));
        const newest = new Map<number, Position>();
        let seed = 7;
        const random = (below: number): number => {
          seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
          return seed % below;
        };
        for (const round of range(rounds * 5)) {
          const id = random(10);
          const answer = await house.notify('shipped', { entity: 'Order', id });
          newest.set(id, positionOf(answer));
          if (round % 25 === 11) await house.disconnect();
          if (round % 25 === 17) await house.connect();
        }
        await house.connect();
        await back(
          page,
          () => [...newest].every(([id, position]) => watched[id]?.runs.at(-1)?.notification?.position === position),
          'each object’s newest notification',
        );
        await quiet(page);
        assert(
          watched.every((each) => reasons(each).every((reason) => reason === 'notification')),
          'a page refreshed without a notification although nothing was lost',
        );
      },
    ],
    [
      '[31] nothing older than the listener is delivered',
      async ({ house, open, watch, quiet }) => {
        const page = open();
        for (let n = 0; n < 10; n++) await house.notify('shipped', ORDER);
        const watched = await watch(page, ORDER);
        await house.notify('updated', ORDER);
        await quiet(page);
        assertEqual(actionsOf(watched), ['updated'], 'what ran');
      },
    ],
    [
      '[32] no notification reaches a listener twice, however often the link is cut',
      async ({ house, open, watch, quiet, cut, back, isBack }) => {
        const page = open();
        const [object, list] = [await watch(page, ORDER), await watch(page, { entity: 'Order' })];
        await house.notify('shipped', ORDER);
        await quiet(page);
        for (let n = 0; n < 3; n++) {
          await cut(page);
          await house.connect();
          await back(page, () => isBack(page), 'the page to be back');
          await quiet(page);
        }
        assertEqual([object.received(), list.received()], [1, 1], 'notifications at the object and the list');
        assertEqual([object.runs.length, list.runs.length], [1, 1], 'runs of the object and the list');
      },
    ],
    [
      '[35] [36] a server that lost its log says so: each callback runs once, and hears what comes',
      async ({ house, open, watch, quiet, back }) => {
        const page = open();
        const watched = [await watch(page, ORDER), await watch(page, { entity: 'Order' }), await watch(page, ORDER)];
        await house.notify('shipped', ORDER);
        await quiet(page);
        await house.restart();
        await back(page, () => watched.every(({ runs }) => runs.length > 1), 'the runs after the restart');
        await quiet(page);
        await house.notify('updated', ORDER);
        await quiet(page);
        for (const each of watched) assertEqual(reasons(each), ['notification', 'resync', 'notification'], 'reasons');
      },
    ],
    [
      '[36] if something may have been missed, each callback runs once',
      async ({ house, open, watch, quiet, back }) => {
        const pages = [open('ann'), open('bob')] as const;
        const watched = await Promise.all(
          pages.flatMap((page) => [watch(page, ORDER), watch(page, { entity: 'Invoice', id: 1 })]),
        );
        await house.gap();
        // At a provider this leads to a read, and what a read brings comes beside everything else.
        for (const page of pages)
          await back(page, () => [...page.watched].every(({ runs }) => runs.length > 0), 'the resyncs');
        await quiet(...pages);
        assertEqual(
          watched.map(reasons),
          range(4).map(() => ['resync']),
          'reasons',
        );
      },
    ],
    [
      '[36] a gap while a page was cut off: once as well',
      async ({ house, open, watch, quiet, cut, back }) => {
        const page = open();
        const watched = await watch(page, ORDER);
        await cut(page);
        await house.gap();
        await house.connect();
        await back(page, () => watched.runs.length > 0, 'the resync');
        await quiet(page);
        assertEqual(reasons(watched), ['resync'], 'reasons');
      },
    ],
    [
      '[51] paused, a page misses nothing: it catches up when it is resumed',
      async ({ house, open, watch, quiet }) => {
        const page = open();
        const watched = await watch(page, ORDER);
        page.client.pause();
        assertEqual(page.client.status().state, 'disconnected', 'the status');
        await house.notify('shipped', ORDER);
        page.client.resume();
        await page.until(() => watched.runs.length > 0, 'the run');
        await quiet(page);
        assertEqual(reasons(watched), ['notification'], 'reasons');
      },
    ],
  ];

  const access: Case[] = [
    [
      '[59] who may listen to what: each user to their own objects, nobody to an entity that is not named',
      async ({ house, open, refuse, quiet }) => {
        const users = USERS;
        for (const user of users)
          for (const owner of users) if (user !== owner) refuse(user, { entity: 'Order', id: owner });
        const pages = users.map((user) => open(user));
        const watched = pages.map((page) => users.map((owner) => page.listen({ entity: 'Order', id: owner })));
        const ends = await Promise.all(
          watched.map((row) => Promise.all(row.map(({ listening }) => refusedWith(listening.ready)))),
        );
        assertEqual(
          ends,
          users.map((user) => users.map((owner) => (user === owner ? 'ready' : 'refused'))),
          'ends of ready',
        );
        for (const owner of users) await house.notify('shipped', { entity: 'Order', id: owner });
        await quiet(...pages);
        assertEqual(
          watched.map((row) => row.map((each) => each.received())),
          users.map((user) => users.map((owner) => Number(user === owner))),
          'notifications',
        );
        const unnamed = (pages[0] as Page).listen({ entity: 'Unnamed', id: 1 });
        assertEqual(await refusedWith(unnamed.listening.ready), 'refused', 'an entity that is not named');
      },
    ],
    [
      '[59] refused is asked again by the next listener, and by reconnect',
      async ({ house, open, refuse, allow, quiet }) => {
        refuse('ann', ORDER);
        const page = open('ann');
        const position = await house.position();
        const first = page.listen(ORDER, { position });
        assertEqual(await refusedWith(first.listening.ready), 'refused', 'the first answer');
        allow('ann', ORDER);
        const second = page.listen(ORDER, { position });
        assertEqual(await refusedWith(second.listening.ready), 'ready', 'the second answer');
        await house.notify('shipped', ORDER);
        await quiet(page);
        assertEqual([first.runs.length, second.runs.length], [1, 1], 'runs: the object is covered for both');
      },
    ],
    [
      '[65] a right that is revoked ends at once, for this user and object and nobody else',
      async ({ house, open, watch, refuse, quiet }) => {
        const [ann, bob] = [open('ann'), open('bob')];
        const [hers, her43, his] = [
          await watch(ann, ORDER),
          await watch(ann, { entity: 'Order', id: 43 }),
          await watch(bob, ORDER),
        ];
        refuse('ann', ORDER);
        await house.revoke('ann', ORDER);
        await house.notify('shipped', [ORDER, { entity: 'Order', id: 43 }]);
        await ann.until(() => hers.listening.error?.code === 'refused', 'the refusal');
        await quiet(ann, bob);
        assertEqual([hers.received(), her43.received(), his.received()], [0, 1, 1], 'notifications');
      },
    ],
    [
      '[65] revoking everything of a user who keeps some rights: those go on, and nothing is missed',
      async ({ house, open, watch, refuse, quiet }) => {
        const page = open('ann');
        const [lost, kept] = [await watch(page, ORDER), await watch(page, { entity: 'Order', id: 43 })];
        refuse('ann', ORDER);
        await house.revoke('ann');
        await page.until(() => lost.listening.error?.code === 'refused', 'the refusal');
        // Without any news: what is kept must not wait for somebody's next notification.
        const again = page.listen({ entity: 'Order', id: 43 }, { position: await house.position() });
        await inTime(again.listening.ready, 'the rest to be covered again', patience);
        again.close();
        await house.notify('shipped', [ORDER, { entity: 'Order', id: 43 }]);
        await quiet(page);
        assertEqual([lost.received(), kept.received()], [0, 1], 'notifications');
      },
    ],
  ];

  const all = [
    ...publishing,
    ...listening,
    ...reliability,
    ...access,
    ...(nodes ? nodeCases : []),
    ...(hosted === undefined ? [] : hostedCases(hosted)),
  ];
  const setting = { entities: CONTRACT_ENTITIES, hosted: hosted !== undefined, patience };
  return all.map(([name, run]) => ({ name, run: () => onStage(factory, setting, run) }));
}
