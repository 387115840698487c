/**
 * The control route, `/__faults`: the switches and actions over HTTP, so that curl or a page can use them too.
 *
 * `GET` tells what is in force and the counters, `POST` changes it, `DELETE` lifts every fault. No fault concerns this
 * route. It asks for no right: whoever reaches the port may use it, which is why an emulator listens on this machine only.
 */
import type { EmulatorCounters } from './emulator.js';
import type { FaultControl } from './faults.js';
import { type HttpAnswer, type HttpRequest, json } from './http-server.js';

export const CONTROL_PATH = '/__faults';

/** What is done once, by its key in the body. May return what is to be done after the answer has left. Throws TypeError. */
export type Actions = Readonly<Record<string, (value: unknown) => (() => void) | undefined>>;

/** Pages of any origin: a browser test is served from another port. */
const CORS = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Methods': 'GET, POST, DELETE',
  'Access-Control-Allow-Headers': 'Content-Type',
  'Cache-Control': 'no-store',
};

export interface ControlOptions {
  readonly faults: FaultControl;
  readonly actions: Actions;
  counters(): EmulatorCounters;
}

export function createControl({ faults, actions, counters }: ControlOptions): (request: HttpRequest) => HttpAnswer {
  const state = (): unknown => ({ faults: faults.now, counters: counters() });

  function change(body: string): (() => void)[] {
    const given: unknown = JSON.parse(body);
    if (typeof given !== 'object' || given === null || Array.isArray(given)) {
      throw new TypeError('The body is a JSON object: {"delay": 500}.');
    }
    const entries = Object.entries(given);
    // Settings first: what is wrong with them must be told before anything is done.
    faults.set(Object.fromEntries(entries.filter(([name]) => !Object.hasOwn(actions, name))));
    return entries.flatMap(([name, value]) => (Object.hasOwn(actions, name) && actions[name]?.(value)) || []);
  }

  return ({ method, body }) => {
    if (method === 'OPTIONS') return { status: 204, headers: CORS };
    if (method === 'GET') return json(200, state(), CORS);
    if (method === 'DELETE') {
      faults.clear();
      return json(200, state(), CORS);
    }
    if (method !== 'POST') return json(405, { error: `${method} is not GET, POST or DELETE.` }, CORS);
    try {
      const later = change(body.toString());
      return { ...json(200, state(), CORS), after: () => later.forEach((run) => void run()) };
    } catch (error) {
      if (!(error instanceof TypeError || error instanceof SyntaxError)) throw error;
      const known = Object.keys(actions).join(', ');
      return json(400, { error: `${error.message} Actions: ${known}.` }, CORS);
    }
  };
}

/** An action's value that must be a whole number. @throws TypeError */
export function wholeNumber(name: string, value: unknown, min: number, max: number): number {
  if (Number.isInteger(value) && (value as number) >= min && (value as number) <= max) return value as number;
  throw new TypeError(`"${name}" is a whole number from ${min} to ${max}, not ${JSON.stringify(value)}.`);
}

/** An action's value that must be a text. @throws TypeError */
export function nonEmptyText(name: string, value: unknown): string {
  if (typeof value === 'string' && value !== '') return value;
  throw new TypeError(`"${name}" is a text that is not empty, not ${JSON.stringify(value)}.`);
}
