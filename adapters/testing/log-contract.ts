/**
 * The contract suite of the log: every promise of `Log` in `adapters/contract.ts`, for the author of an engine's driver.
 * Each case has a fresh log with two handles on it, that stand for two nodes: what one appends, the other must tail.
 *
 * "Nothing more came" is never proved by waiting, but by a marker that is appended later and must be the next to come.
 * The file is long because it is a list: one case for each promise.
 */
import type { Lease, Log, LogEntry, Logged, NotificationEntry } from '../contract.js';
import { comparePositions, epochOf, isAfter, type Position, parsePosition } from '../position.js';
import { assert, assertEqual, type ContractCase, inTime, PATIENCE, rejects } from './case.js';
import { type Reader, read as readFor } from './reader.js';

/** Two nodes on one log that is new and empty. */
export interface LogNodes {
  readonly a: Log;
  readonly b: Log;
  /** Lets this many milliseconds pass: moves the clock of the engine, or really waits. */
  pass(ms: number): Promise<void>;
  /** The engine loses what it had acknowledged (a restart, a failover). Without it those cases are left out. */
  lose?(): Promise<void>;
  /** Frees what the factory made, beside the two logs. */
  close?(): Promise<void>;
}

export interface LogContractOptions {
  /** The retention of the logs that the factory makes, in milliseconds. Without it those cases are left out. */
  readonly retention?: number;
  /** How long a lease lasts in the cases, in milliseconds: no less than the engine can measure. Default 1,000. */
  readonly leaseTtl?: number;
  /** How often a race is tried. Default 50. */
  readonly rounds?: number;
  /** How long a case waits for what must come, in milliseconds, before it fails. Default 5,000. */
  readonly patience?: number;
}

const note = (id: string | number, more: Partial<NotificationEntry> = {}): NotificationEntry => ({
  kind: 'notification',
  notification: { entity: 'Order', id: String(id), action: 'updated', changedDate: 1 },
  ...more,
});
const idOf = (entry: LogEntry): string | undefined =>
  entry.kind === 'notification' ? entry.notification.id : undefined;
const ids = (logged: readonly Logged[]): (string | undefined)[] => logged.map(({ entry }) => idOf(entry));
const positions = (logged: readonly Logged[]): Position[] => logged.map(({ position }) => position);
const range = (count: number, from = 0): number[] => Array.from({ length: count }, (_, index) => from + index);

/** Appends a marker on `log` and waits until the reader has it: everything acknowledged before has come by then. */
async function marked(log: Log, ...readers: readonly Reader[]): Promise<void> {
  const [marker] = await log.append([{ kind: 'resync', objects: [{ entity: 'Marker' }] }]);
  for (const reader of readers) await reader.until(({ position }) => position === marker, 'the marker');
}

const isMarker = ({ entry }: Logged): boolean => entry.kind === 'resync' && entry.objects?.[0]?.entity === 'Marker';
const unmarked = (reader: Reader): Logged[] => reader.seen.filter((logged) => !isMarker(logged));

function assertSound(reader: Reader): void {
  assertEqual(reader.faults, [], 'faults in the calls of a sink');
  assertEqual(reader.resets, [], 'resets of a tail that lost nothing');
  reader.seen.forEach(({ position }, index) => {
    assert(parsePosition(position) !== undefined, `${position} is not a position`);
    const before = reader.seen[index - 1]?.position;
    assert(!before || isAfter(position, before), `${position} was given after ${before}`);
  });
}

async function held(lease: Promise<Lease | undefined>): Promise<Lease> {
  const it = await lease;
  assert(it !== undefined, 'a free lease was not given');
  return it;
}

type Case = readonly [name: string, run: (nodes: LogNodes) => Promise<void>];

/**
 * The cases of the log's contract.
 *
 * @param factory makes two nodes on a new, empty log; called once for each case, which closes what it made.
 */
export function logContract(
  factory: () => LogNodes | Promise<LogNodes>,
  options: LogContractOptions = {},
): ContractCase[] {
  const { retention, leaseTtl = 1_000, rounds = 50, patience = PATIENCE } = options;
  const read = (log: Log): Promise<Reader> => readFor(log, patience);

  const order: Case[] = [
    [
      'one order: every tail on every node gives what both nodes append, in one ascending order',
      async ({ a, b }) => {
        const readers = [await read(a), await read(b)] as const;
        const appended = await Promise.all(range(40).map((n) => (n % 2 ? a : b).append([note(n)])));
        await marked(a, ...readers);
        for (const reader of readers) assertSound(reader);
        assertEqual(readers[1].seen, readers[0].seen, 'what the second tail gave');
        assertEqual(positions(unmarked(readers[0])).sort(), appended.flat().sort(), 'the positions that were tailed');
        assertEqual(
          ids(unmarked(readers[0])).sort(),
          range(40).map(String).sort(),
          'the entries that were tailed, each exactly once',
        );
      },
    ],
    [
      'one order: what one node appends one after another comes in that order',
      async ({ a, b }) => {
        const reader = await read(b);
        for (const n of range(20)) await a.append([note(n)]);
        await marked(a, reader);
        assertSound(reader);
        assertEqual(ids(unmarked(reader)), range(20).map(String), 'the order on the other node');
      },
    ],
    [
      'one order: the tail gives the position that append resolved with',
      async ({ a, b }) => {
        const reader = await read(b);
        const given = await a.append([note(1), note(2)]);
        await marked(a, reader);
        assertEqual(positions(unmarked(reader)), given, 'positions of the tail');
      },
    ],
    [
      'an entry comes as it was appended, of whatever kind',
      async ({ a, b }) => {
        const entries: LogEntry[] = [
          {
            kind: 'notification',
            notification: {
              entity: 'Ümläut/订单 *',
              id: '👍:@%2F',
              action: 'été\u0000"\n',
              changedDate: '2024-05-01T10:00:00.123456789Z',
              unordered: true,
              notifier: '\u202Ereversed',
              cause: 'c'.repeat(64),
              except: ['h1', 'h2'],
              detail: { nested: [null, 1.5, { deep: '' }] },
            },
            to: { users: ['u1'], sessions: ['s1'] },
            spread: false,
            dedupeKey: 'k/1',
          },
          {
            kind: 'notification',
            notification: { entity: 'Order', action: 'a', changedDate: Number.MAX_SAFE_INTEGER },
          },
          { kind: 'resync' },
          { kind: 'resync', objects: [{ entity: 'Order', id: '1' }, { entity: 'Order' }] },
          { kind: 'revoke', users: ['h1', 'h2'] },
          { kind: 'revoke', users: ['h1'], object: { entity: 'Order', id: '1' } },
        ];
        const live = await read(b);
        await a.append(entries);
        await marked(a, live);
        const late = await read(b);
        for (const reader of [live, late])
          assertEqual(
            unmarked(reader).map(({ entry }) => entry),
            entries,
            'entries',
          );
      },
    ],
  ];

  const whole: Case[] = [
    [
      'whole: the entries of one append are all there and keep their order, whatever else is appended meanwhile',
      async ({ a, b }) => {
        const reader = await read(b);
        const batches = range(20).map((batch) => range(5).map((n) => note(`${batch}.${n}`)));
        const given = await Promise.all(batches.map((batch, n) => (n % 2 ? a : b).append(batch)));
        await marked(a, reader);
        assertSound(reader);
        batches.forEach((batch, n) => {
          const come = reader.seen.filter(({ entry }) => idOf(entry)?.startsWith(`${n}.`));
          assertEqual(ids(come), batch.map(idOf), `batch ${n}`);
          assertEqual(positions(come), given[n], `positions of batch ${n}`);
        });
      },
    ],
    [
      'an append of nothing resolves with nothing, and nothing comes',
      async ({ a, b }) => {
        const reader = await read(b);
        assertEqual(await a.append([]), [], 'positions');
        await marked(a, reader);
        assertEqual(unmarked(reader), [], 'entries');
        assertSound(reader);
      },
    ],
    [
      'a sink is never called from inside a call of append',
      async ({ a }) => {
        let inside = false;
        let caught = 0;
        const check = (): void => {
          if (inside) caught += 1;
        };
        const tail = await a.tail({ entries: check, reset: check, failed: check });
        const pending = range(10).map((n) => {
          inside = true;
          const appended = a.append([note(n)]);
          inside = false;
          return appended;
        });
        await Promise.all(pending);
        await tail.prove(patience);
        assertEqual(caught, 0, 'calls of the sink from inside append');
      },
    ],
  ];

  const start: Case[] = [
    [
      'acknowledged: what append resolved with is in the window of every tail that begins afterwards',
      async ({ a, b }) => {
        const given = (await Promise.all(range(10).map((n) => a.append([note(n)])))).flat();
        for (const reader of [await read(b), await read(a)]) {
          assertEqual(reader.loaded, 10, 'entries given before tail resolved');
          assertEqual(positions(reader.seen).sort(), [...given].sort(), 'positions');
          const { floor, top } = reader.tail.start;
          for (const position of given) {
            assert(isAfter(position, floor), `${position} is not after the floor ${floor}`);
            assert((comparePositions(position, top) ?? 1) <= 0, `${position} is after the top ${top}`);
          }
          assertSound(reader);
        }
      },
    ],
    [
      'an empty log: nothing is given, floor and top are one place, and what comes is after it',
      async ({ a, b }) => {
        const reader = await read(a);
        assertEqual(reader.seen, [], 'entries');
        assertEqual(comparePositions(reader.tail.start.floor, reader.tail.start.top), 0, 'floor compared with top');
        const [first] = await b.append([note(1)]);
        assert(isAfter(first as Position, reader.tail.start.top), `${first} is not after ${reader.tail.start.top}`);
      },
    ],
    [
      'no hole and no double at the start: entries that are appended while a tail begins come exactly once',
      async ({ a, b }) => {
        const all: Position[] = [];
        const readers: Reader[] = [];
        for (const round of range(rounds)) {
          // Each a little later than the one before, so that some land in every step that a driver takes.
          const appending = range(8).map(async (delay) => {
            for (let turn = 0; turn < delay; turn++) await undefined;
            return (delay % 2 ? a : b).append([note(`${round}.${delay}`), note(`${round}.${delay}+`)]);
          });
          readers.push(await read(round % 2 ? a : b));
          all.push(...(await Promise.all(appending)).flat());
        }
        await marked(a, ...readers);
        all.sort((x, y) => comparePositions(x, y) as number);
        for (const reader of readers) {
          assertSound(reader);
          const expected = all.filter((position) => isAfter(position, reader.tail.start.floor));
          assertEqual(positions(unmarked(reader)), expected, 'positions of a tail that began during the appends');
        }
      },
    ],
    [
      'two logs have different epochs; all positions of one log have one',
      async ({ a, b }) => {
        const other = await factory();
        try {
          const [here] = await a.append([note(1)]);
          const [there] = await other.a.append([note(1)]);
          const [also] = await b.append([note(2)]);
          assertEqual(epochOf(also as Position), epochOf(here as Position), 'the epoch on the other node');
          assert(epochOf(here as Position) !== epochOf(there as Position), 'two logs have the same epoch');
        } finally {
          await closeAll(other);
        }
      },
    ],
  ];

  const alive: Case[] = [
    [
      'prove: resolves with the top of the engine, once everything up to it was given',
      async ({ a, b }) => {
        const reader = await read(b);
        for (const n of range(rounds)) {
          const [position] = await a.append([note(n)]);
          const top = await reader.tail.prove(patience);
          assert(
            (comparePositions(top, position as Position) ?? -1) >= 0,
            `${top} was proved, ${position} was appended`,
          );
          assert(
            positions(reader.seen).includes(position as Position),
            `prove resolved with ${top} before ${position} was given`,
          );
        }
        assertSound(reader);
      },
    ],
    [
      'prove: an idle and an empty log are proved as well',
      async ({ a, b }) => {
        const reader = await read(b);
        assertEqual(
          comparePositions(await reader.tail.prove(patience), reader.tail.start.top),
          0,
          'top of an empty log',
        );
        const [position] = await a.append([note(1)]);
        for (let n = 0; n < 3; n++) assertEqual(await reader.tail.prove(patience), position, 'top of an idle log');
      },
    ],
    [
      'a tail that was closed gives nothing more and proves nothing; others go on',
      async ({ a, b }) => {
        const [closed, open] = [await read(b), await read(b)];
        await a.append([note(1)]);
        await marked(a, closed, open);
        const before = closed.seen.length;
        await closed.tail.close();
        await a.append([note(2)]);
        await marked(a, open);
        await open.tail.prove(patience);
        assertEqual(closed.seen.length, before, 'entries given to the closed tail');
        assertEqual(ids(unmarked(open)), ['1', '2'], 'entries given to the open tail');
        assert(
          await rejects(inTime(closed.tail.prove(100), 'prove', patience)),
          'a closed tail proved that it is alive',
        );
      },
    ],
    [
      'close: the log accepts nothing more, its tails end, and the other node goes on',
      async ({ a, b }) => {
        const [own, other] = [await read(a), await read(b)];
        await a.close();
        const closed: [string, () => Promise<unknown>][] = [
          ['append', () => a.append([note('lost')])],
          ['tail', () => read(a)],
          ['lease', () => a.lease('late', leaseTtl)],
        ];
        for (const [name, call] of closed)
          assert(await rejects(inTime(call(), name, patience)), `${name} works on a closed log`);
        await b.append([note(1)]);
        await marked(b, other);
        await other.tail.prove(patience);
        assertEqual(ids(unmarked(other)), ['1'], 'entries on the other node');
        assertEqual(own.seen, [], 'entries given to a tail of the closed log');
      },
    ],
  ];

  const dedupe: Case[] = [
    [
      'dedupes (as declared): copies with one key from two nodes are one notification, at the first one’s position',
      async ({ a, b }) => {
        const reader = await read(b);
        const [first] = await a.append([note(1, { dedupeKey: 'job-7' })]);
        const [second] = await b.append([note(1, { dedupeKey: 'job-7' })]);
        const [, third] = await a.append([note(2), note(1, { dedupeKey: 'job-7' })]);
        const [other] = await a.append([note(1, { dedupeKey: 'job-8' })]);
        await marked(a, reader);
        assertSound(reader);
        if (a.capabilities.dedupes) {
          assertEqual([second, third], [first, first], 'positions of the copies');
          assertEqual(ids(unmarked(reader)), ['1', '2', '1'], 'entries');
        } else {
          assertEqual(ids(unmarked(reader)), ['1', '1', '2', '1', '1'], 'entries');
        }
        assert(other !== first, 'another key was taken for a copy');
      },
    ],
    [
      'dedupes: copies that are appended at once are one, and without a key nothing is',
      async ({ a, b }) => {
        if (!a.capabilities.dedupes) return;
        const reader = await read(b);
        const copies = await Promise.all([a, b, a, b].map((log) => log.append([note(1, { dedupeKey: 'k' })])));
        assertEqual(new Set(copies.flat()).size, 1, 'different positions of copies');
        await a.append([note(2), note(2)]);
        await marked(a, reader);
        assertEqual(ids(unmarked(reader)), ['1', '2', '2'], 'entries');
      },
    ],
  ];

  const lease: Case[] = [
    [
      'lease: one holder over all nodes; another name is another lease',
      async ({ a, b }) => {
        const all = await Promise.all([a, b, a, b].map((log) => log.lease('relay', leaseTtl)));
        assertEqual(all.filter((it) => it !== undefined).length, 1, 'holders of one lease');
        assertEqual(await b.lease('relay', leaseTtl), undefined, 'a lease that is held');
        await held(b.lease('another', leaseTtl));
      },
    ],
    [
      'lease: released, the next one gets it, with a greater fence',
      async ({ a, b }) => {
        const first = await held(a.lease('relay', leaseTtl));
        assert(await first.renew(), 'the holder could not renew');
        await first.release();
        const second = await held(b.lease('relay', leaseTtl));
        assert(second.fence > first.fence, `fence ${second.fence} after ${first.fence}`);
        assert(!(await first.renew()), 'renewed although somebody else holds it');
        await first.release();
        assertEqual(await a.lease('relay', leaseTtl), undefined, 'a lease that its former holder released again');
        assert(await second.renew(), 'the holder could not renew');
      },
    ],
    [
      'lease: it lasts as long as it is renewed, and not longer than its time',
      async ({ a, b, pass }) => {
        const first = await held(a.lease('relay', leaseTtl));
        for (let n = 0; n < 4; n++) {
          await pass(leaseTtl / 2);
          assert(await first.renew(), 'the holder could not renew');
          assertEqual(await b.lease('relay', leaseTtl), undefined, 'a lease that is renewed');
        }
        await pass(leaseTtl * 1.5);
        const second = await held(b.lease('relay', leaseTtl));
        assert(second.fence > first.fence, `fence ${second.fence} after ${first.fence}`);
        assert(!(await first.renew()), 'renewed although somebody else holds it');
      },
    ],
    [
      'lease: the checkpoint outlives its holder, and no ousted one moves it',
      async ({ a, b, pass }) => {
        const [one, two, three] = (await a.append([note(1), note(2), note(3)])) as [Position, Position, Position];
        const first = await held(a.lease('relay', leaseTtl));
        assertEqual(await first.checkpoint(), undefined, 'the first checkpoint');
        assert(await first.moveCheckpoint(one), 'the holder could not move the checkpoint');
        assertEqual(await first.checkpoint(), one, 'the checkpoint');
        await pass(leaseTtl * 1.5);
        const second = await held(b.lease('relay', leaseTtl));
        assertEqual(await second.checkpoint(), one, 'the checkpoint that the next holder finds');
        assert(!(await first.moveCheckpoint(three)), 'an ousted holder moved the checkpoint');
        assertEqual(await second.checkpoint(), one, 'the checkpoint after an ousted holder tried');
        assert(await second.moveCheckpoint(two), 'the holder could not move the checkpoint');
        assertEqual(await second.checkpoint(), two, 'the checkpoint');
        const other = await held(a.lease('another', leaseTtl));
        assertEqual(await other.checkpoint(), undefined, 'the checkpoint of another lease');
      },
    ],
  ];

  const together: Case[] = [
    [
      'share: a shared log tells each node the newest record of the others, for as long as it lasts',
      async ({ a, b, pass }) => {
        if (!a.capabilities.shared) return;
        const share = async (log: Log, record: string): Promise<readonly string[]> => {
          assert(log.share !== undefined, 'a shared log has no share()');
          return log.share(record, leaseTtl);
        };
        assertEqual(await share(a, 'a1'), [], 'the records of others for the first node');
        assertEqual(await share(b, 'b1'), ['a1'], 'the records of others for the second node');
        assertEqual(await share(a, 'a2 "ü\n'), ['b1'], 'the records of others');
        assertEqual(await share(b, 'b2'), ['a2 "ü\n'], 'the newest record');
        await pass(leaseTtl * 1.5);
        assertEqual(await share(b, 'b3'), [], 'records whose time is over');
      },
    ],
  ];

  const kept: Case[] = [
    [
      'retention: what is older is not in the window of a new tail, and the floor says so; live tails had it',
      async ({ a, b, pass }) => {
        const live = await read(b);
        const [old] = await a.append([note('old')]);
        await live.until(({ position }) => position === old, 'the entry');
        await pass((retention ?? 0) * 2);
        const [young] = await a.append([note('young')]);
        const late = await read(b);
        await marked(a, live, late);
        assertEqual(ids(unmarked(late)), ['young'], 'the window');
        const { floor } = late.tail.start;
        assert(
          (comparePositions(floor, old as Position) ?? -1) >= 0,
          `the floor ${floor} is below ${old}, which is gone`,
        );
        assert(isAfter(young as Position, floor), `the floor ${floor} is not below ${young}`);
        assertEqual(ids(unmarked(live)), ['old', 'young'], 'what the live tail gave');
        for (const reader of [live, late]) assertSound(reader);
      },
    ],
    [
      'retention: a log that only lost what had expired keeps its epoch and its order',
      async ({ a, b, pass }) => {
        const [before] = await a.append([note(1)]);
        await pass((retention ?? 0) * 2);
        const reader = await read(b);
        assertEqual(reader.seen, [], 'the window');
        assert((comparePositions(reader.tail.start.top, before as Position) ?? -1) >= 0, 'the top went back');
        const [after] = await a.append([note(2)]);
        assert(isAfter(after as Position, before as Position), `${after} is not after ${before}`);
      },
    ],
  ];

  const honest: Case[] = [
    [
      'honest: when acknowledged entries are gone the epoch is a new one, and every live tail is told',
      async (nodes) => {
        const { a, b } = nodes;
        const readers = [await read(a), await read(b)];
        const [before] = await a.append([note('before')]);
        for (const reader of readers) await reader.until(({ position }) => position === before, 'the entry');
        await nodes.lose?.();
        for (const reader of readers) {
          const { top } = await reader.untilReset();
          assert(epochOf(top) !== epochOf(before as Position), `the epoch is still ${epochOf(top)}`);
        }
        const [after] = await a.append([note('after')]);
        for (const reader of readers) {
          await reader.until(({ position }) => position === after, 'the first entry after the loss');
          assertEqual(reader.faults, [], 'faults in the calls of a sink');
        }
        assertEqual(
          epochOf(after as Position),
          epochOf((await readers[0]?.untilReset())?.top as Position),
          'the epoch',
        );
      },
    ],
  ];

  const cases = [
    ...order,
    ...whole,
    ...start,
    ...alive,
    ...dedupe,
    ...lease,
    ...together,
    ...(retention === undefined ? [] : kept),
  ].map(([name, run]) => ({ name, run: () => withNodes(run) }));
  // Whether the factory's logs can lose something is known only from what it makes.
  const losing = honest.map(([name, run]) => ({
    name,
    run: () => withNodes(async (nodes) => (nodes.lose ? run(nodes) : undefined)),
  }));
  return [...cases, ...losing];

  async function withNodes(run: (nodes: LogNodes) => Promise<void>): Promise<void> {
    const nodes = await factory();
    try {
      await run(nodes);
    } finally {
      await closeAll(nodes);
    }
  }
}

async function closeAll(nodes: LogNodes): Promise<void> {
  await Promise.all([nodes.a.close(), nodes.b.close()]);
  await nodes.close?.();
}
