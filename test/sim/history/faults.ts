/** What each kind of action means for the oracle: what it may cost in time, and whether it may lead to a resync. */
import type { Action, ActionKind, History } from './types.js';

/**
 * How long after the end of the faults a page may be old, by what has struck. They add up: a page can need its watchdog
 * first, and then wait for a node whose tail is unproved.
 */
export const BOUNDS = {
  /** A cut that both ends see, once: the first retry, and what an opening takes. */
  clean: 5_000,
  /** A link that says nothing: two heartbeats and 5 s, a look of the watchdog, and the opening. */
  silent: 45_000,
  /** A tail that says nothing: a heartbeat until it is asked, 4 s for the proof, 30 s and as much jitter until the page leaves. */
  stalled: 75_000,
  /**
   * The same where nodes read the log: 15 s of a heartbeat or of a driver that waits for hints, 3 s until a call that hangs is
   * given up, 4 s of a proof, 2 s between two reads that fail.
   */
  read: 25_000,
  /** Failed tries in a row: the longest wait, and the opening. */
  backoff: 40_000,
  /** What a provider lost: the periodic check, and the read. */
  provider: 70_000,
} as const;

export type Bound = keyof typeof BOUNDS;

interface Meaning {
  /** It counts as one of the five faults. */
  readonly fault: boolean;
  readonly bounds: readonly Bound[];
  /** The listeners may be told to refresh for all. */
  readonly resyncs?: true;
}

export const MEANINGS: Readonly<Record<ActionKind, Meaning>> = {
  notify: { fault: false, bounds: [] },
  cut: { fault: true, bounds: ['clean'] },
  silence: { fault: true, bounds: ['silent', 'backoff'] },
  outage: { fault: true, bounds: ['backoff'] },
  delay: { fault: true, bounds: ['backoff'] },
  swallow: { fault: true, bounds: ['silent', 'backoff'] },
  garble: { fault: true, bounds: ['backoff'] },
  buffer: { fault: true, bounds: ['silent', 'backoff'] },
  shorten: { fault: true, bounds: ['backoff'] },
  repeat: { fault: true, bounds: [] },
  kill: { fault: true, bounds: ['silent', 'backoff'] },
  roll: { fault: true, bounds: ['backoff'] },
  rotate: { fault: true, bounds: ['backoff'] },
  stall: { fault: true, bounds: ['stalled'] },
  unlink: { fault: true, bounds: ['stalled', 'backoff'] },
  engine: { fault: true, bounds: ['stalled', 'backoff'] },
  trim: { fault: true, bounds: [], resyncs: true },
  epoch: { fault: true, bounds: ['backoff'], resyncs: true },
  lose: { fault: true, bounds: ['stalled', 'backoff'], resyncs: true },
  brownout: { fault: true, bounds: ['stalled', 'backoff'] },
  regress: { fault: true, bounds: ['stalled'], resyncs: true },
  freeze: { fault: true, bounds: ['silent', 'backoff'] },
  crash: { fault: true, bounds: ['silent'] },
  close: { fault: false, bounds: ['clean'] },
  hide: { fault: false, bounds: ['silent'] },
  sleep: { fault: true, bounds: ['silent', 'backoff'] },
  jump: { fault: true, bounds: ['clean'] },
  skew: { fault: true, bounds: ['backoff'] },
  withdraw: { fault: true, bounds: ['backoff'] },
  expire: { fault: true, bounds: ['backoff'] },
  doubt: { fault: true, bounds: ['backoff'] },
  user: { fault: true, bounds: ['backoff'], resyncs: true },
  spoil: { fault: true, bounds: ['backoff'] },
  remount: { fault: false, bounds: ['clean'] },
  lag: { fault: true, bounds: ['backoff'] },
  provider: { fault: true, bounds: ['provider', 'backoff'] },
};

/** A node after the other: each may take its time to say goodbye, and the next one waits a moment. */
const ROLL = 6_000;

/** So many secrets the nodes of a history know. */
export const SECRETS = 3;

/** How long an action goes on by itself, in milliseconds. */
export function lengthOf(action: Action, nodes: number): number {
  if (action.do === 'roll' || action.do === 'rotate') return nodes * ROLL;
  if (action.do === 'cut') return 1_000;
  if (action.do === 'notify') return action.times * action.every;
  if ((action.do === 'freeze' || action.do === 'provider') && action.stays) return 0;
  return 'for' in action ? action.for : 0;
}

/** When the last fault is over. */
export function endOf({ actions, setup }: Pick<History, 'actions' | 'setup'>): number {
  let end = Math.max(...setup.tabs.map(({ opens, loads }) => opens + loads));
  const loads = Math.max(...setup.tabs.map((tab) => tab.loads));
  for (const action of actions) {
    // A page that is loaded anew takes its time.
    const more = action.do === 'crash' || action.do === 'close' ? loads : 0;
    end = Math.max(end, action.at + lengthOf(action, setup.nodes) + more);
  }
  return end;
}

/** Kinds that lose nothing between the relay and a page. */
const GIVEN: ReadonlySet<ActionKind> = new Set(['notify', 'epoch', 'provider']);

/** How long after that a page may be old. */
export function boundOf({ actions, setup }: Pick<History, 'actions' | 'setup'>): number {
  const bounds = new Set<Bound>(['clean']);
  for (const { do: kind } of actions) for (const bound of MEANINGS[kind].bounds) bounds.add(bound);
  if (setup.log === 'driven' && bounds.delete('stalled')) bounds.add('read');
  // What it refuses or cannot be given is given later; what it loses in silence is found by the periodic check only.
  const loses = actions.some((action) => (action.do === 'provider' ? action.how === 'loses' : !GIVEN.has(action.do)));
  if (setup.provider && loses) bounds.add('provider');
  else bounds.delete('provider');
  let sum = 0;
  for (const bound of bounds) sum += BOUNDS[bound];
  return sum;
}

/** Whether a resync has a cause in this history. */
export function mayResync({ actions, setup }: Pick<History, 'actions' | 'setup'>): boolean {
  // Nodes know the newest secrets only: a page that heard of none of them cannot tell that its user is the same.
  if (actions.filter(({ do: kind }) => kind === 'rotate').length >= SECRETS) return true;
  let away = 0;
  for (const action of actions) {
    if (MEANINGS[action.do].resyncs) return true;
    if (setup.log === 'memory' && ['kill', 'roll', 'rotate'].includes(action.do)) return true;
    if (MEANINGS[action.do].fault) away += lengthOf(action, setup.nodes);
  }
  // A page that was away for as long as the log remembers.
  return away + boundOf({ actions, setup }) >= setup.retention;
}
