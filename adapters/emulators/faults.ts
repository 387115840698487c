/** The switches: keeps what is in force, checks what is set, and tells those who must act on a change. */
import { type FaultSettings, type Faults, NO_FAULTS } from './emulator.js';

/** A day, in milliseconds: a frame that waits longer is not late but lost. */
const MAX_DELAY = 24 * 3_600_000;
/** A million: more than a test sends, so that a mistyped number is noticed. */
const MAX_DROP = 1_000_000;

/** The switches as the emulator itself sees them. */
export interface FaultControl extends Faults {
  /** Calls `changed` after every change that somebody made, until the returned function is called. */
  watch(changed: () => void): () => void;
  /** Whether a message on this channel is to be lost now; if so, it is counted. */
  loses(channel: string): boolean;
  /** How many were lost so far. */
  readonly dropped: number;
}

export interface FaultRules {
  /** Which codes the vendor's clients can be told; others are refused. */
  readonly codes: { readonly min: number; readonly max: number };
}

type Check = (value: unknown) => string | undefined;

const isNumber = (value: unknown, min: number, max: number): boolean =>
  Number.isInteger(value) && (value as number) >= min && (value as number) <= max;
const number =
  (min: number, max: number): Check =>
  (value) =>
    isNumber(value, min, max) ? undefined : `a whole number from ${min} to ${max}`;
const flag: Check = (value) => (typeof value === 'boolean' ? undefined : 'true or false');
const isRefusal = (value: unknown): boolean => value === null || value === 'reset' || value === 'silent';

function isRestRefusal(value: unknown): boolean {
  if (isRefusal(value)) return true;
  if (typeof value !== 'object' || value === null) return false;
  const { status, retryAfter, ...rest } = value as Record<string, unknown>;
  const waits = retryAfter === undefined || isNumber(retryAfter, 0, 86_400);
  return isNumber(status, 400, 599) && waits && Object.keys(rest).length === 0;
}

export function createFaults(first: Partial<FaultSettings>, rules: FaultRules): FaultControl {
  const { min, max } = rules.codes;
  const checks: Readonly<Record<keyof FaultSettings, Check>> = {
    connections: (value) =>
      isRefusal(value) || isNumber(value, min, max)
        ? undefined
        : `null, "reset", "silent" or a code from ${min} to ${max}`,
    requests: (value) =>
      isRestRefusal(value)
        ? undefined
        : 'null, "reset", "silent" or { "status": 400 to 599, "retryAfter": seconds, may be left out }',
    delay: number(0, MAX_DELAY),
    drop: number(0, MAX_DROP),
    dropOn: (value) => (typeof value === 'string' ? undefined : 'a text; empty for all channels'),
    silent: flag,
    quota: flag,
  };
  let now: FaultSettings = NO_FAULTS;
  let dropped = 0;
  const watchers = new Set<() => void>();

  function set(change: Partial<FaultSettings>): void {
    for (const [name, value] of Object.entries(change)) {
      const check = Object.hasOwn(checks, name) ? checks[name as keyof FaultSettings] : undefined;
      if (!check) throw new TypeError(`There is no fault "${name}": there are ${Object.keys(checks).join(', ')}.`);
      const wanted = check(value);
      if (wanted !== undefined) throw new TypeError(`The fault "${name}" is ${wanted}, not ${JSON.stringify(value)}.`);
    }
    now = { ...now, ...change };
    for (const changed of [...watchers]) changed();
  }
  set(first);

  return {
    get now() {
      return now;
    },
    get dropped() {
      return dropped;
    },
    set,
    clear: () => set(NO_FAULTS),
    watch(changed) {
      watchers.add(changed);
      return () => watchers.delete(changed);
    },
    loses(channel) {
      if (now.drop === 0 || !channel.includes(now.dropOn)) return false;
      // Counted down without telling: nobody acts on the number but the next message.
      now = { ...now, drop: now.drop - 1 };
      dropped++;
      return true;
    },
  };
}
