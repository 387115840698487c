/** The database of the demo as its other processes have it: over a channel, with PGlite at the far end. */
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { afterAll, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { type Call, type Channel, createCalls } from '../../demo/server/calls.js';
import { type Database, openDatabase } from '../../demo/server/database.js';
import { type DatabaseAnswers, remoteDatabase, serveDatabase } from '../../demo/server/remote-database.js';
import { removeDataFolder, seededDataFolder } from '../kit/demo.js';

let data: string;
let db: Database;
let close: () => Promise<void>;
beforeAll(async () => {
  data = await seededDataFolder();
  ({ db, close } = await openDatabase(data));
  await db.query('create table boxes (id integer primary key, made timestamptz default now(), lines jsonb)');
});
afterAll(async () => {
  await close();
  removeDataFolder(data);
});
beforeEach(() => db.query('delete from boxes'));

function channelOf(port: MessagePort): Channel {
  return {
    send: (message) => port.postMessage(message),
    heard: (listen) => void port.on('message', listen),
    gone: (listen) => void port.once('close', listen),
  };
}

/** Another process, as far as the database can tell. `leave` is its end. */
function connect(patience?: number): { db: Database; call: Call<DatabaseAnswers>; leave(): void } {
  const { port1, port2 } = new MessageChannel();
  const served = serveDatabase(db, patience === undefined ? {} : { patience });
  createCalls(channelOf(port1), served.answers);
  const call = createCalls<DatabaseAnswers>(channelOf(port2), {});
  const leave = (): void => {
    port2.close();
    served.release();
  };
  onTestFinished(leave);
  return { db: remoteDatabase(call), call, leave };
}

const ids = async (): Promise<number[]> => {
  const { rows } = await db.query<{ id: number }>('select id from boxes order by id');
  return rows.map((row) => row.id);
};
const insert = (into: Pick<Database, 'query'>, id: number) => into.query('insert into boxes (id) values ($1)', [id]);

test('rows come as the database gave them, dates and JSON too', async () => {
  const { db: remote } = connect();
  await remote.query('insert into boxes values (1, $1, $2)', [new Date(0), JSON.stringify([{ depot: 'Hill' }])]);
  const { rows } = await remote.query('select * from boxes');
  expect(rows).toEqual([{ id: 1, made: new Date(0), lines: [{ depot: 'Hill' }] }]);
});

test('an error keeps its message and its code', async () => {
  const { db: remote } = connect();
  await insert(remote, 1);
  const refused = { message: expect.stringContaining('duplicate key'), code: '23505' };
  await expect(insert(remote, 1)).rejects.toMatchObject(refused);
  await expect(remote.transaction((tx) => insert(tx, 1))).rejects.toMatchObject(refused);
});

describe('a transaction', () => {
  test('is committed before it resolves, with what the work returned', async () => {
    const { db: remote } = connect();
    const made = await remote.transaction(async (tx) => {
      await insert(tx, 1);
      return (await tx.query<{ id: number }>('select id from boxes')).rows;
    });
    expect(made).toEqual([{ id: 1 }]);
    expect(await ids()).toEqual([1]);
  });

  test('is rolled back when the work fails, and tells why', async () => {
    const { db: remote } = connect();
    const why = new Error('not today');
    const failed = remote.transaction(async (tx) => {
      await insert(tx, 1);
      throw why;
    });
    await expect(failed).rejects.toBe(why);
    await insert(remote, 2);
    expect(await ids()).toEqual([2]);
  });

  test('waits for those of its own process and of others', async () => {
    const processes = [connect(), connect()];
    const running = new Set<number>();
    const overlaps: number[] = [];
    const work = (remote: Database, id: number) =>
      remote.transaction(async (tx) => {
        running.add(id);
        await insert(tx, id);
        await tx.query('select 1');
        overlaps.push(running.size);
        running.delete(id);
      });
    await Promise.all(processes.flatMap(({ db: remote }, n) => [1, 2, 3].map((id) => work(remote, 10 * n + id))));
    expect(overlaps).toEqual([1, 1, 1, 1, 1, 1]);
    expect(await ids()).toEqual([1, 2, 3, 11, 12, 13]);
  });

  test('of a process that has left is rolled back, and others go on; its waiting one is not begun', async () => {
    const [gone, other] = [connect(), connect()];
    const left = { code: 'ECONNRESET' };
    let waiting: Promise<unknown> = Promise.resolve();
    const first = gone.db.transaction(async (tx) => {
      await insert(tx, 1);
      // It waits for the end of this one.
      waiting = other.db.transaction((theirs) => insert(theirs, 2));
      gone.leave();
      await insert(tx, 3);
    });
    await expect(first).rejects.toMatchObject(left);
    await waiting;
    await expect(gone.db.transaction((tx) => insert(tx, 4))).rejects.toMatchObject(left);
    expect(await ids()).toEqual([2]);
  });

  test('that was asked for by a process that has left meanwhile is not begun', async () => {
    const [gone, other] = [connect(), connect()];
    let begun: Promise<unknown> = Promise.resolve();
    await other.db.transaction(async (tx) => {
      begun = gone.call('begin');
      begun.catch(() => {});
      // It has been asked by now: the two channels are read in the order in which they were written to.
      await insert(tx, 1);
      gone.leave();
    });
    await expect(begun).rejects.toMatchObject({ code: 'ECONNRESET' });
    await insert(other.db, 2);
    expect(await ids()).toEqual([1, 2]);
  });

  test('that takes too long is rolled back, and says so as Postgres does', async () => {
    const [slow, other] = [connect(20), connect()];
    const late = slow.db.transaction(async (tx) => {
      await insert(tx, 1);
      // Answered as soon as nobody has the database.
      await insert(other.db, 2);
      await insert(tx, 3);
    });
    await expect(late).rejects.toMatchObject({ code: '25P03' });
    expect(await ids()).toEqual([2]);
  });
});

describe('calls', () => {
  const ends = (): readonly [MessagePort, MessagePort] => {
    const { port1, port2 } = new MessageChannel();
    onTestFinished(() => port1.close());
    return [port1, port2];
  };

  test('that nobody answers say so', async () => {
    const [here, there] = ends();
    createCalls(channelOf(there), {});
    const call = createCalls<{ toString(): string }>(channelOf(here), {});
    await expect(call('toString')).rejects.toThrow('nobody answers "toString"');
  });

  test('beyond the bound are refused; those that wait end with the other end', async () => {
    const [here, there] = ends();
    createCalls(channelOf(there), { never: () => new Promise(() => {}) });
    const call = createCalls<{ never(): Promise<void> }>(channelOf(here), {});
    const waiting = Promise.allSettled(Array.from({ length: 1_000 }, () => call('never')));
    await expect(call('never')).rejects.toThrow('1000 calls');
    there.close();
    const ended = { status: 'rejected', reason: expect.objectContaining({ code: 'ECONNRESET' }) };
    expect(await waiting).toEqual(Array.from({ length: 1_000 }, () => ended));
    await expect(call('never')).rejects.toMatchObject({ code: 'ECONNRESET' });
  });
});
