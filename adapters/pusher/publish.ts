/**
 * Items -> calls of Pusher's HTTP API, and its answers -> outcomes. Calls are made one after the other, so that the items
 * of a channel keep their order; what costs one call is packed into one.
 */
import type { Outgoing, PublishOutcome } from '../provider.js';
import { eventName } from './names.js';

/** Pusher's limits of one call: channels of a publish, events of a batch. */
const MAX_CHANNELS = 100;
const MAX_EVENTS = 10;
/** Pusher's limit of one event's data, in bytes. */
const MAX_DATA_BYTES = 10_240;

/** After a refusal that a person must mend (keys, quota, a disabled application): asking sooner would not help. */
const REFUSED_RETRY_MS = 60_000;
/** So much of an answer goes into a message. */
const ANSWER_LENGTH = 200;

interface Answer {
  text(): Promise<string>;
}

/** What is used of the vendor's SDK. */
export interface PusherApi {
  trigger(channels: string[], event: string, data: string): Promise<Answer>;
  triggerBatch(batch: { channel: string; name: string; data: string }[]): Promise<Answer>;
}

/** One item with the names under which it is published. */
interface Named {
  readonly item: Outgoing;
  readonly names: readonly string[];
}

const ACCEPTED = { kind: 'accepted' } as const;

/** What an answer of the API means. */
type Failed =
  | { readonly kind: 'rejected'; readonly error: Error }
  | { readonly kind: 'later'; readonly error: Error; readonly retryAfterMs?: number };
type Judged = typeof ACCEPTED | Failed;

/** What is known of a failed call: an error of the SDK has the status and the body of an answer, or the fault of the network. */
interface Fault {
  readonly status?: number;
  readonly body?: string;
  readonly error?: Told;
}

/** What the SDK's HTTP library says of a fault, in words that hold the address of the call. */
interface Told {
  readonly message?: string;
  readonly code?: string;
}

/**
 * The reason of a fault, without the address: that is signed, and names a user by the hash. It stands before the reason,
 * which is empty where several addresses of one host were tried.
 */
function reasonOf({ message = '', code }: Told): string {
  const reason = /(?:, reason|while trying to fetch \S+): (.*)$/s.exec(message)?.[1] ?? message;
  return reason.replace(/https?:\/\/\S*/g, '…').trim() || code || 'no reason was given';
}

/** The beginning of an answer, for a message; some answers repeat the address of the call. */
function excerpt(body: string): string {
  return body
    .trim()
    .slice(0, ANSWER_LENGTH)
    .replace(/(auth_\w+=)[\w.]+/g, '$1…')
    .replace(/(\/users\/)[^/\s?"]+/g, '$1…');
}

const MEANING: Readonly<Record<number, string>> = {
  401: 'PUSHER_KEY or PUSHER_SECRET is wrong, or the clock of this machine is off by more than ten minutes',
  403: 'the application is disabled, or its quota is used up',
  404: 'PUSHER_APP_ID or the cluster is wrong',
};

function failure(status: number, body: string): Error {
  const meaning = MEANING[status];
  const said = excerpt(body);
  return new Error(`Pusher answered ${status}${meaning ? ` (${meaning})` : ''}${said ? `: ${said}` : ''}`);
}

/** Judges what a call threw. */
export function judge(thrown: unknown): Failed {
  const { status, body = '', error } = (thrown ?? {}) as Fault;
  if (status === undefined) {
    // No cause: that of the SDK holds the address.
    const why = reasonOf(error ?? (thrown as Told | undefined) ?? {});
    return { kind: 'later', error: new Error(`Pusher could not be reached: ${why}`) };
  }
  const problem = failure(status, body);
  // 422 is what Reverb says to a body that it does not take.
  if (status === 400 || status === 413 || status === 422) return { kind: 'rejected', error: problem };
  if (status === 401 || status === 403 || status === 404)
    return { kind: 'later', error: problem, retryAfterMs: REFUSED_RETRY_MS };
  return { kind: 'later', error: problem };
}

/** The SDK takes every 2xx for success; a proxy's page or an error in the body is none. */
async function accepted(answer: Answer): Promise<Judged> {
  const body = await answer.text();
  try {
    const said: unknown = JSON.parse(body);
    if (typeof said === 'object' && said !== null && !('error' in said)) return ACCEPTED;
  } catch {
    // Not JSON: whoever answered, it was not Pusher.
  }
  return {
    kind: 'later',
    error: new Error(`Pusher answered with an error in its body: ${excerpt(body)}`),
  };
}

/** Publishes in order; see the contract of `ProviderAdapter.publish`. `names` gives the names of an item at the moment. */
export async function publish(
  api: PusherApi,
  batch: readonly Outgoing[],
  names: (item: Outgoing) => readonly string[],
): Promise<readonly PublishOutcome[]> {
  const outcomes = new Map<Outgoing, PublishOutcome>();
  let late: PublishOutcome | undefined;

  async function call(run: () => Promise<Answer>): Promise<Judged> {
    try {
      return await accepted(await run());
    } catch (thrown) {
      return judge(thrown);
    }
  }

  /** One item by itself, in as many calls as its channels need. */
  async function single({ item, names }: Named): Promise<void> {
    for (let at = 0; at < names.length; at += MAX_CHANNELS) {
      const judged = await call(() =>
        api.trigger(names.slice(at, at + MAX_CHANNELS), eventName(item.action), item.json),
      );
      if (judged.kind === 'accepted') continue;
      outcomes.set(item, judged.kind === 'rejected' ? { kind: 'impossible', error: judged.error } : judged);
      if (judged.kind === 'later') late = judged;
      return;
    }
    outcomes.set(item, ACCEPTED);
  }

  /** Several items in one call. A refused batch does not say which of its events is at fault: each is sent by itself. */
  async function together(items: readonly Named[]): Promise<void> {
    const [only] = items;
    if (only && items.length === 1) return single(only);
    const events = items.flatMap(({ item, names }) =>
      names.map((channel) => ({ channel, name: eventName(item.action), data: item.json })),
    );
    const judged = await call(() => api.triggerBatch(events));
    if (judged.kind === 'rejected') {
      for (const named of items) {
        if (late) return;
        await single(named);
      }
      return;
    }
    if (judged.kind === 'later') late = judged;
    for (const { item } of items) outcomes.set(item, judged);
  }

  let open: Named[] = [];
  let events = 0;
  const flush = async (): Promise<void> => {
    const items = open;
    open = [];
    events = 0;
    if (items.length > 0 && !late) await together(items);
  };
  for (const item of batch) {
    const bytes = Buffer.byteLength(item.json);
    if (bytes > MAX_DATA_BYTES) {
      outcomes.set(item, {
        kind: 'impossible',
        error: new Error(`an event of ${bytes} bytes is more than the ${MAX_DATA_BYTES} that Pusher takes`),
      });
      continue;
    }
    const named = { item, names: names(item) };
    if (events + named.names.length > MAX_EVENTS) await flush();
    open.push(named);
    events += named.names.length;
    if (events >= MAX_EVENTS) await flush();
  }
  await flush();
  // What was not tried any more waits with what failed: nothing may overtake it.
  const waits: PublishOutcome = late ?? { kind: 'later', error: new Error('not published') };
  return batch.map((item) => outcomes.get(item) ?? waits);
}
