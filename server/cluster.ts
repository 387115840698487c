/**
 * What the nodes of a shared log know of each other: totals only. Each leaves a small record in the log's engine every two
 * seconds and reads those of the others, so that limits and waits count the whole cluster.
 */
import type { Log } from '../adapters/contract.js';

/** Milliseconds between two looks at the others, half of it random: what a limit may be wrong for, against what it costs. */
const EVERY = 2_000;
/** A node that has left no record for so long is gone, in milliseconds: a few missed ones. */
const LASTS = 10_000;
/** Users whom one record names, those with the most connections: 12 KB with their hashes. */
const MOST_NAMED = 500;
/** With more nodes than this nobody counts further: a record of somebody who invents them must not grow the memory. */
const MOST_NODES = 1_000;

/** What one node counts. */
export interface Totals {
  readonly connections: number;
  /** Pages that it authorised at a hosted provider. */
  readonly authorised: number;
  /** For how many milliseconds the provider has taken nothing from it; 0: all is well, or another node carries. */
  readonly stuck: number;
}

/** What one process tells of itself. */
interface NodeRecord extends Totals {
  readonly marks: readonly string[];
  /** It serves no pages, and is no node. */
  readonly publisher: boolean;
  readonly users: ReadonlyMap<string, number>;
}

export interface ClusterOptions {
  readonly log: Log;
  /** This node's totals, of this moment. */
  readonly totals: () => Totals;
  /** Connections by user (keyed hash), of those who have many; called once for each record. */
  readonly users: () => ReadonlyMap<string, number>;
  readonly random: () => number;
  /** Keyed hashes of nothing in particular, one for each secret in use: nodes that share none do not understand each other. */
  readonly marks: readonly string[];
  /** Another process on the log has other secrets; called once. */
  readonly onStranger: () => void;
  /** Milliseconds between two looks. Default 2,000. */
  readonly every?: number;
}

export interface Cluster {
  /** Nodes that are alive, this one included: 1 where the log is not shared, or cannot be reached. */
  nodes(): number;
  /** The sums over the other nodes; of `stuck` the longest. */
  others(): Totals;
  /** Connections of a user on other nodes, as far as they are many. */
  ofUser(user: string): number;
  /**
   * How many listen on all nodes where `here` do on this one, taking the others to be as this one is: connections are
   * spread by a load balancer that knows nothing of channels.
   */
  everywhere(here: number, of: 'connections' | 'authorised'): number;
  close(): void;
}

const ALONE: Totals = { connections: 0, authorised: 0, stuck: 0 };

export function createCluster({
  log,
  totals,
  users: report,
  random,
  marks,
  onStranger,
  every = EVERY,
}: ClusterOptions): Cluster {
  let nodes = 1;
  let others = ALONE;
  let users = new Map<string, number>();
  let timer: NodeJS.Timeout | undefined;
  let failures = 0;
  let stranger = false;
  let closed = false;

  function alone(): void {
    nodes = 1;
    others = ALONE;
    users = new Map();
  }

  function take(records: readonly string[]): void {
    alone();
    for (const record of records.slice(0, MOST_NODES)) {
      const one = read(record);
      if (!one) continue;
      if (isStranger(one.marks, marks) && !stranger) {
        stranger = true;
        onStranger();
      }
      if (one.publisher) continue;
      nodes += 1;
      others = {
        connections: others.connections + one.connections,
        authorised: others.authorised + one.authorised,
        stuck: Math.max(others.stuck, one.stuck),
      };
      for (const [user, held] of one.users) users.set(user, (users.get(user) ?? 0) + held);
    }
  }

  async function look(): Promise<void> {
    if (closed) return;
    try {
      take((await log.share?.(write({ ...totals(), users: report(), marks, publisher: false }), LASTS)) ?? []);
      failures = 0;
    } catch {
      // The follower reports an engine that is down. What was known holds for as long as a record would.
      if (++failures * every >= LASTS) alone();
    }
    if (!closed) schedule();
  }

  function schedule(): void {
    timer = setTimeout(() => void look(), every * (0.5 + random()));
    timer.unref();
  }

  // Not in this turn: what is counted may not be made yet.
  if (log.share) setImmediate(() => void look());

  return {
    nodes: () => nodes,
    others: () => others,
    ofUser: (user) => users.get(user) ?? 0,
    everywhere(here, of) {
      const own = nodes === 1 ? 0 : totals()[of];
      if (here === 0 || own === 0) return here;
      // A node that has just come up has few connections, of which one says little of the other nodes'.
      const factor = Math.min((own + others[of]) / own, nodes * 2);
      return Math.round(here * factor);
    },
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}

/** The record of a node: JSON, of which another version of this package takes what it knows. */
function write({ users, ...rest }: NodeRecord): string {
  const most = [...users].sort(([, a], [, b]) => b - a).slice(0, MOST_NAMED);
  return JSON.stringify({ ...rest, users: Object.fromEntries(most) });
}

/**
 * For a process that only notifies: shows its marks for a moment, and tells whether another process has other secrets, so
 * that what it addresses to users and sessions reaches nobody. Never rejects.
 */
export async function meetsStranger(log: Log, marks: readonly string[]): Promise<boolean> {
  const record = write({ ...ALONE, users: new Map(), marks, publisher: true });
  const records = (await log.share?.(record, LASTS).catch(() => [])) ?? [];
  return records.slice(0, MOST_NODES).some((other) => isStranger(read(other)?.marks ?? [], marks));
}

/** Nothing is known of a version that shows no marks. */
function isStranger(theirs: readonly string[], ours: readonly string[]): boolean {
  return theirs.length > 0 && !theirs.some((mark) => ours.includes(mark));
}

function read(record: string): NodeRecord | undefined {
  try {
    const { connections, authorised, stuck, users, marks, publisher } = JSON.parse(record) as Record<string, unknown>;
    return {
      marks: Array.isArray(marks) ? marks.map(String) : [],
      publisher: publisher === true,
      connections: count(connections),
      authorised: count(authorised),
      stuck: count(stuck),
      users: new Map(Object.entries((users as object | undefined) ?? {}).map(([user, held]) => [user, count(held)])),
    };
  } catch {
    return undefined;
  }
}

function count(value: unknown): number {
  return typeof value === 'number' && value > 0 ? value : 0;
}
