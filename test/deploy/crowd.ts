/** Pages without browsers: shipped clients in a process of their own, each of another user, each with some of the objects. */
import { createListenClient, type Refresh } from 'notify-listen/client';
import { answerTo } from './answer.js';

/** Objects that a page listens to. */
export const OBJECTS_OF_A_PAGE = 3;
/** Pages that open at a time: one whose stream takes three seconds to begin takes the network for one that buffers. */
const AT_ONCE = 20;

export type CrowdQuestion =
  /** Opens pages number `from` to `from + count`; answered when all of them listen. */
  | { readonly open: { readonly url: string; readonly from: number; readonly count: number; readonly objects: number } }
  /** What happened since all were open, or since the last time. */
  | { readonly report: true }
  /** Of these newest positions by object: how many pages have not run after one of theirs. */
  | { readonly behind: Readonly<Record<string, string>> };

export interface CrowdReport {
  /** When streams were asked for, in milliseconds since 1970. */
  readonly openings: readonly number[];
  /** Why pages refreshed. */
  readonly reasons: Readonly<Record<string, number>>;
  /** States that pages went through, beside `connected`. */
  readonly states: Readonly<Record<string, number>>;
}

interface Page {
  /** The position of the notification after which it has run last, by object; none for another reason. */
  readonly shown: Map<string, string | undefined>;
}

const pages: Page[] = [];
let openings: number[] = [];
let reasons: Record<string, number> = {};
let states: Record<string, number> = {};

const count = (of: Record<string, number>, what: string): void => {
  of[what] = (of[what] ?? 0) + 1;
};

async function open(url: string, n: number, objects: number): Promise<void> {
  const client = createListenClient({
    url,
    headers: { 'x-user': `user${n}` },
    tabs: false,
    onError: () => {},
    world: {
      fetch(input, init) {
        if (String(init?.body).includes('"wait":"stream"')) openings.push(Date.now());
        return fetch(input, init);
      },
    },
  });
  const shown: Page['shown'] = new Map();
  const run = ({ object, reason, notification }: Refresh): void => {
    count(reasons, reason);
    shown.set(String(object.id), notification?.position);
  };
  const listening = Array.from({ length: OBJECTS_OF_A_PAGE }, (_, k) => {
    const id = String((n * OBJECTS_OF_A_PAGE + k) % objects);
    shown.set(id, undefined);
    return client.listen({ entity: 'Order', id }, { '*': run }, { loadedAt: Date.now() }).ready;
  });
  await Promise.all(listening);
  client.onStatus(() => {
    const { state, via } = client.status();
    if (state !== 'connected' || via !== 'sse') count(states, `${state} ${via ?? ''}`.trim());
  });
  pages.push({ shown });
}

answerTo(async (question: CrowdQuestion): Promise<unknown> => {
  if ('open' in question) {
    const { url, from, count: wanted, objects } = question.open;
    for (let n = 0; n < wanted; n += AT_ONCE) {
      const some = Array.from({ length: Math.min(AT_ONCE, wanted - n) }, (_, k) => open(url, from + n + k, objects));
      await Promise.all(some);
    }
    [openings, reasons, states] = [[], {}, {}];
    return pages.length;
  }
  if ('behind' in question) {
    const isBehind = ({ shown }: Page): boolean =>
      [...shown].some(([id, position]) => question.behind[id] !== undefined && question.behind[id] !== position);
    return pages.filter(isBehind).length;
  }
  const report: CrowdReport = { openings, reasons, states };
  [openings, reasons, states] = [[], {}, {}];
  return report;
});
