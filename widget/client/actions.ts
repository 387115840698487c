/** The action list: checked and brought to one form, so that nothing behind this file knows the short ones. */
import { ListenError } from '../../adapters/errors.js';
import { EVERY_ACTION } from '../../adapters/notification.js';
import { DEV } from './dev.js';
import type { ActionRow, Actions, CallbackRegistry, Run } from './types.js';

/** A row whose choices are made: `on` and the functions are lists. Names are looked up when they run. */
export interface Row extends Omit<ActionRow, 'on' | 'run' | 'otherwise'> {
  readonly on: readonly string[];
  readonly run: readonly (Run | string)[];
  readonly otherwise: readonly (Run | string)[];
}

/** Where names are looked up: the listener's own registry before the client's. */
export type Registries = readonly (CallbackRegistry | undefined)[];

/** Who knows the names. Asked only where there is one. */
export interface Names {
  registries(): Registries;
}

const NONE: readonly never[] = [];
const list = <T>(value: T | readonly T[] | undefined): readonly T[] =>
  value === undefined ? NONE : Array.isArray(value) ? [...value] : [value as T];
const isAction = (action: unknown): boolean => !!action && typeof action === 'string';

/**
 * Brings an action list to one form.
 *
 * @throws TypeError that names the row and the field, for what can never run: no action, no function, an unknown name.
 */
export function normaliseActions(actions: Actions, names: Names): Row[] {
  const given: readonly ActionRow[] = Array.isArray(actions)
    ? actions
    : Object.entries(actions ?? {}).map(([on, run]) => ({ on, run }));
  let unknown: string | undefined;
  const check = (each: unknown): void => {
    if (each !== undefined && typeof each !== 'function' && !find(each as string, names))
      unknown ??= JSON.stringify(each);
  };
  const rows = given.map((row, index): Row => {
    const { on, run, otherwise, when, onError } = row ?? {};
    const normal: Row = { ...row, on: list(on), run: list(run), otherwise: list(otherwise) };
    normal.run.forEach(check);
    normal.otherwise.forEach(check);
    check(when);
    check(onError);
    let flaw: string | undefined;
    if (!normal.on.length || !normal.on.every(isAction)) flaw = DEV ? 'on: name an action, or "*" for all' : 'on';
    else if (normal.run.length === 0) flaw = DEV ? 'run: give a function or the name of a registered callback' : 'run';
    else if (unknown) flaw = DEV ? `run: no callback ${unknown}; register it in "callbacks"` : unknown;
    if (flaw) throw new TypeError(`actions[${index}].${flaw}`);
    return normal;
  });
  if (rows.length === 0) throw new TypeError(DEV ? 'actions: is empty; give at least one row, { on, run }' : 'actions');
  return rows;
}

function find(name: string, names: Names): CallbackRegistry[string] | undefined {
  // Own properties only: a name out of a JSON description must not find `constructor`.
  for (const registry of names.registries()) if (registry && Object.hasOwn(registry, name)) return registry[name];
  return undefined;
}

/** The function behind a name; a function is itself. @throws ListenError `configuration` when the name has gone since. */
export function resolve<F extends (...args: never[]) => unknown>(
  run: F | string,
  names: Names,
): F | CallbackRegistry[string] {
  if (typeof run === 'function') return run;
  const found = find(run, names);
  if (!found) throw new ListenError('configuration', `no callback ${JSON.stringify(run)}`);
  return found;
}

/** Whether a list of actions selects this one. */
export function selects(on: readonly string[], action: string): boolean {
  return on.includes(action) || on.includes(EVERY_ACTION);
}

/**
 * Which rows share a place: those that hold the same functions. Each group is a list of row indexes, in row order.
 */
export function groupRows(rows: readonly Row[]): number[][] {
  const groups: number[][] = [];
  rows.forEach((row, index) => {
    const same = groups.find(([first]) => {
      const { run } = rows[first as number] as Row;
      return run.length === row.run.length && run.every((each, at) => each === row.run[at]);
    });
    if (same) same.push(index);
    else groups.push([index]);
  });
  return groups;
}
