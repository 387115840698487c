/**
 * The few calls of the JetStream API that the log makes, as JSON over requests.
 * The API: https://docs.nats.io/reference/reference-protocols/nats_api_reference
 */
import { NobodyError, type Wire } from './wire.js';

/** The server's answer to a request that it refused. Its codes are constant over versions. */
export class JetStreamError extends Error {
  override name = 'JetStreamError';
  readonly code: number;
  constructor(what: string, { err_code, description }: ApiFault) {
    super(`NATS JetStream refused ${what}: ${description ?? 'without a reason'}`);
    this.code = err_code ?? 0;
  }
}

/** Codes of the server's `errors.json`. */
export const STREAM_NOT_FOUND = 10_059;
export const MESSAGE_NOT_FOUND = 10_037;
export const WRONG_LAST_SEQUENCE = 10_071;
const NAME_IN_USE = 10_058;
const NO_STORAGE = 10_047;
const NO_JETSTREAM: readonly number[] = [10_039, 10_076];

interface ApiFault {
  readonly code: number;
  readonly err_code?: number;
  readonly description?: string;
}

/** As the server tells and takes it; times in nanoseconds. */
export interface StreamConfig {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly max_msgs: number;
  readonly max_bytes: number;
  readonly max_age: number;
  readonly duplicate_window: number;
  readonly max_msgs_per_subject: number;
  readonly num_replicas: number;
  readonly [more: string]: unknown;
}

export interface StreamInfo {
  readonly config: StreamConfig;
  /** When it was made: two streams of one name differ in it. */
  readonly created: string;
  readonly state: {
    readonly messages: number;
    readonly first_seq: number;
    readonly last_seq: number;
    readonly subjects?: Readonly<Record<string, number>>;
  };
  readonly cluster?: { readonly leader?: string };
}

export interface StoredMessage {
  readonly seq: number;
  readonly subject: string;
  readonly data: string;
  /** When the server stored it, by its own clock, in milliseconds since 1970. */
  readonly time: number;
}

async function call<T>(wire: Wire, name: string, body?: unknown): Promise<T> {
  let text: string;
  try {
    const { data } = await wire.request(`$JS.API.${name}`, body === undefined ? '' : JSON.stringify(body));
    text = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString();
  } catch (error) {
    if (!(error instanceof NobodyError)) throw error;
    throw new Error(NOT_ENABLED, { cause: error });
  }
  const answer = JSON.parse(text) as T & { readonly error?: ApiFault };
  if (!answer.error) return answer;
  if (NO_JETSTREAM.includes(answer.error.err_code ?? 0))
    throw new Error(NOT_ENABLED, { cause: new JetStreamError(name, answer.error) });
  if (answer.error.err_code === NO_STORAGE) throw new Error(NO_ROOM, { cause: new JetStreamError(name, answer.error) });
  throw new JetStreamError(name, answer.error);
}

const NO_ROOM =
  'JetStream has not enough storage for the stream of the log, which reserves 2 KiB for each entry that it may keep: give it more (max_file_store), or keep less (cap)';

const NOT_ENABLED =
  'JetStream does not answer: it is not enabled on the NATS server or for this account (start nats-server with -js, or put jetstream { store_dir: … } into its configuration), or has not started yet';

/** Resolves with nothing when there is no such stream. */
export function streamInfo(wire: Wire, stream: string, subjects?: string): Promise<StreamInfo | undefined> {
  const body = subjects === undefined ? undefined : { subjects_filter: subjects };
  return orNothing(call<StreamInfo>(wire, `STREAM.INFO.${stream}`, body), STREAM_NOT_FOUND);
}

/** Makes it, or gives an existing one this configuration, but for its replicas, which are the operator's. */
export async function ensureStream(wire: Wire, config: StreamConfig): Promise<void> {
  const existing = await streamInfo(wire, config.name);
  if (existing) return adapt(wire, existing, config);
  try {
    await call(wire, `STREAM.CREATE.${config.name}`, config);
  } catch (error) {
    // Another node, with other settings, was first.
    const other = isCode(error, NAME_IN_USE) ? await streamInfo(wire, config.name) : undefined;
    if (!other) throw error;
    await adapt(wire, other, config);
  }
}

const ADAPTED = ['max_msgs', 'max_bytes', 'max_age', 'duplicate_window', 'max_msgs_per_subject'] as const;

async function adapt(wire: Wire, { config: found }: StreamInfo, config: StreamConfig): Promise<void> {
  const differs = ADAPTED.some((key) => found[key] !== config[key]);
  const lacks = config.subjects.some((subject) => !found.subjects.includes(subject));
  if (!differs && !lacks) return;
  const settings = Object.fromEntries(ADAPTED.map((key) => [key, config[key]]));
  await call(wire, `STREAM.UPDATE.${config.name}`, { ...found, ...settings, subjects: config.subjects });
}

/** Of the stream's leader, never of a copy that may be behind. Nothing when it is not there (any more). */
export async function getMessage(
  wire: Wire,
  stream: string,
  which: number | string,
): Promise<StoredMessage | undefined> {
  const body = typeof which === 'number' ? { seq: which } : { last_by_subj: which };
  const answer = await orNothing(
    call<{ message: { seq: number; subject: string; data?: string; time: string } }>(
      wire,
      `STREAM.MSG.GET.${stream}`,
      body,
    ),
    MESSAGE_NOT_FOUND,
  );
  if (!answer) return undefined;
  const { seq, subject, data = '', time } = answer.message;
  return { seq, subject, data: Buffer.from(data, 'base64').toString(), time: Date.parse(time) };
}

/** Takes one message out. */
export async function deleteMessage(wire: Wire, stream: string, seq: number): Promise<void> {
  await orNothing(call(wire, `STREAM.MSG.DELETE.${stream}`, { seq, no_erase: true }), MESSAGE_NOT_FOUND);
}

/**
 * Stores a message; resolves with its number once the stream has it, and with nothing when the last one of its subject is
 * not `after` (0: there is none), if that was given. Rejects with a {@link NobodyError} when there is no stream for it.
 */
export async function publish(
  wire: Wire,
  stream: string,
  subject: string,
  body: string,
  after?: number,
): Promise<number | undefined> {
  const headers = {
    'Nats-Expected-Stream': stream,
    ...(after !== undefined && { 'Nats-Expected-Last-Subject-Sequence': String(after) }),
  };
  const { data } = await wire.request(subject, body, headers);
  const answer = JSON.parse(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString()) as {
    readonly seq: number;
    readonly error?: ApiFault;
  };
  if (!answer.error) return answer.seq;
  if (answer.error.err_code === WRONG_LAST_SEQUENCE) return undefined;
  throw new JetStreamError('a message', answer.error);
}

/** A consumer that is gone with the server or after a while without its reader. Resolves with its name. */
export async function createConsumer(
  wire: Wire,
  stream: string,
  config: Readonly<Record<string, unknown>>,
): Promise<string> {
  const { name } = await call<{ name: string }>(wire, `CONSUMER.CREATE.${stream}`, { stream_name: stream, config });
  return name;
}

export async function deleteConsumer(wire: Wire, stream: string, name: string): Promise<void> {
  await call(wire, `CONSUMER.DELETE.${stream}.${name}`);
}

/** Whether the server refused with this code. */
export function isCode(error: unknown, code: number): boolean {
  return error instanceof JetStreamError && error.code === code;
}

async function orNothing<T>(answer: Promise<T>, code: number): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (isCode(error, code)) return undefined;
    throw error;
  }
}
