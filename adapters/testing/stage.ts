/**
 * What each case of the adapter's contract has in its hands, and how it is proved that nothing more came.
 *
 * A node's own streams keep one order for all that they carry: what arrived before a marker on any channel is all there
 * is. A provider keeps the order of one channel at most, so there the marker travels on every channel that a page listens
 * to, and is addressed past everybody, so that no callback runs for it.
 */
import type { ObjectRef } from '../contract.js';
import { sameObject } from '../notification.js';
import type { Position } from '../position.js';
import type { AdapterHouse, HousePage, HouseProvider, Notified } from './adapter-house.js';
import { assert, inTime } from './case.js';
import { MARK, openPage, type Page, type Watched } from './page.js';

/** The users of all cases. */
export const USERS = ['ann', 'bob', 'carl'] as const;
export type ContractUser = (typeof USERS)[number];

/** How long the core gives a provider before it uses the built-in SSE, and a little more, in milliseconds. */
export const GIVEN_UP = 6_000;
/** The time between two checks of a page, with its jitter, and a little more, in milliseconds. */
export const CHECKED = 80_000;

export interface Stage {
  readonly house: AdapterHouse;
  open(user?: ContractUser, session?: string): Page;
  /** A page of `ann` at another application. */
  openAt(house: Pick<AdapterHouse, 'createClient'>): Page;
  /** A page whose wall clock is before the server's by so many milliseconds. Only with nodes or a provider. */
  openElsewhen(wrong: number): Page;
  /** Takes the right away, or gives it back. Everybody may listen to everything else. */
  refuse(user: string, object: ObjectRef): void;
  allow(user: string, object: ObjectRef): void;
  /** Listens from now on: what was notified before does not concern it. */
  watch(page: Page, object: ObjectRef, actions?: Parameters<Page['listen']>[2]): Promise<Watched>;
  /** Resolves once each page has been given everything that was notified so far, and has run what it wanted to run. */
  quiet(...pages: Page[]): Promise<void>;
  /** The same without waiting for the runs. */
  marked(...pages: Page[]): Promise<void>;
  /** Disconnects everything, and resolves once the page says so. */
  cut(page: Page): Promise<void>;
  /** As `page.until`, for what comes after a cut. What waits out a backoff at a provider does not take as long as that. */
  back(page: Page, holds: () => boolean, what: string): Promise<void>;
  /** Whether the page is connected, at the provider or beside it. */
  isBack(page: Page): boolean;
}

export type Case = readonly [name: string, run: (stage: Stage) => Promise<void>];

/** The same, with a provider in hand. */
export type HostedCase = readonly [
  name: string,
  run: (stage: Stage & { readonly provider: HouseProvider; readonly via: string }) => Promise<void>,
];

export const range = (count: number): number[] => Array.from({ length: count }, (_, index) => index);
export const reasons = ({ runs }: Watched): string[] => runs.map(({ reason }) => reason);
export const actionsOf = ({ runs }: Watched): (string | undefined)[] =>
  runs.map(({ notification }) => notification?.action);

export function positionsOf(notified: Notified): readonly Position[] {
  const positions = 'positions' in notified ? notified.positions : (notified as readonly Position[]);
  assert(positions !== undefined && positions.length > 0, 'notify was not accepted');
  return positions;
}

export const positionOf = (notified: Notified): Position => positionsOf(notified)[0] as Position;

/** Sets the stage, runs the case, and clears everything away. */
export async function onStage(
  make: (mayListen: (user: string, object: ObjectRef) => boolean) => AdapterHouse | Promise<AdapterHouse>,
  { entities, hosted, patience }: { entities: readonly string[]; hosted: boolean; patience: number },
  run: (stage: Stage) => Promise<void>,
): Promise<void> {
  const keyOf = (user: string, { entity, id }: ObjectRef): string => JSON.stringify([user, entity, String(id)]);
  const refused = new Set<string>();
  const house = await make((user, object) => entities.includes(object.entity) && !refused.has(keyOf(user, object)));
  const pages: Page[] = [];

  const marked = async (...each: Page[]): Promise<void> => {
    if (hosted) await markEvery(house, each, patience);
    else for (const page of each) await markOnce(house, page);
  };

  function open(page: HousePage, wrong?: number, at: Pick<AdapterHouse, 'createClient'> = house): Page {
    const opened = openPage((hooks) => at.createClient(page, hooks), patience, wrong);
    pages.push(opened);
    return opened;
  }

  try {
    await run({
      house,
      open: (user = 'ann', session) =>
        open({ user, ...(session !== undefined && { session }) }, hosted ? 0 : undefined),
      openAt: (at) => open({ user: 'ann' }, 0, at),
      openElsewhen: (wrong) => open({ user: 'ann' }, wrong),
      refuse: (user, object) => void refused.add(keyOf(user, object)),
      allow: (user, object) => void refused.delete(keyOf(user, object)),
      async watch(page, object, actions) {
        const watched = page.listen(object, { position: await house.position() }, actions);
        await inTime(watched.listening.ready, 'ready', patience);
        return watched;
      },
      async quiet(...each) {
        await marked(...each);
        for (const page of each) await page.until(() => waiting(page) === 0, 'everything that was queued to run');
      },
      marked,
      async cut(page) {
        const { client } = page;
        await house.disconnect();
        // A provider is given a while before the page leaves it, and until then it says that it is degraded.
        const noticed = (): boolean => client.status().state === 'reconnecting' || client.status().degraded;
        await page.until(noticed, 'the page to notice');
      },
      isBack,
      back: (page, holds, what) => (hosted ? page.soon(holds, what) : page.until(holds, what)),
    });
  } finally {
    for (const { client } of pages) client.close();
    await house.close();
  }
}

function isBack({ client }: Page): boolean {
  const { state, degraded, via } = client.status();
  return state === 'connected' && (!degraded || via === 'sse');
}

/** Runs that were announced and have not ended. */
function waiting({ traces }: Page): number {
  const count = (...fates: string[]): number => traces.filter(({ fate }) => fates.includes(fate)).length;
  return count('queued') - count('ran', 'failed');
}

/** Notifies a marker on every channel that the pages listen to, and waits until all of them have arrived. */
async function markEvery(house: AdapterHouse, pages: readonly Page[], patience: number): Promise<void> {
  const watching = pages.flatMap((page) => [...page.watched].map(({ listening }) => ({ page, listening })));
  const settled = watching.map(({ listening }) => listening.ready.catch(() => {}));
  await inTime(Promise.all(settled), 'every listener to be ready or refused', patience);
  // After a cut the provider carries again before the read that brings what was missed: the marker would overtake it.
  for (const page of pages) await page.until(() => isBack(page), 'the page to have read what it missed');
  const live = watching
    .filter(({ listening }) => !listening.error)
    .map(({ page, listening: { object } }) => ({ page, object }));
  // Lists last: on their channel they are conflated with the markers of their objects, and the last one arrives.
  const objects = [...new Map(live.map(({ object }) => [JSON.stringify(object), object])).values()].sort(
    (a, b) => Number(a.id === undefined) - Number(b.id === undefined),
  );
  if (objects.length > 0) {
    // Past all users, not only those of these pages: two markers that are merged spare only whom both spared.
    const positions = positionsOf(await house.notify(MARK, objects, { except: { users: USERS } }));
    for (const { page, object } of live) {
      const position = positions[objects.findIndex((each) => sameObject(each, object))];
      const listensOn = (): boolean =>
        [...page.watched].some(({ listening }) => sameObject(listening.object, object) && !listening.error);
      await page.until(
        () =>
          !listensOn() ||
          page.traces.some((trace) => trace.notification?.position === position && sameObject(trace.object, object)),
        `the marker on ${JSON.stringify(object)}`,
      );
    }
  }
  for (const page of pages) if (!live.some((each) => each.page === page)) await markOnce(house, page);
}

let markers = 0;

/** Notifies a marker and waits until the page has it: whatever was notified before is there by then, or never comes. */
async function markOnce(house: AdapterHouse, page: Page): Promise<void> {
  // A channel whose grant is being asked for anew is not on the marker's link yet: one more listener tells when it is.
  for (const { listening } of page.watched) {
    if (listening.error) continue;
    const probe = page.client.listen(listening.object, [{ on: '-', run: () => {}, resync: false }], {
      position: await house.position(),
    });
    await probe.ready.catch(() => {});
    probe.close();
  }
  const object = { entity: 'Marker', id: ++markers };
  const watched = page.listen(object, { position: await house.position() }, (run) => [{ on: '*', run, resync: false }]);
  await watched.listening.ready;
  await house.notify('marked', object);
  await page.until(() => page.traces.some((trace) => sameObject(trace.object, object)), 'the marker');
  await page.until(() => watched.runs.length > 0, 'the run of the marker');
  watched.close();
}
