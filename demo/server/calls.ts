/**
 * Calls between the two ends of a channel between processes. Each call has one answer: a value as the structured clone
 * carries it, or an error that keeps its message and its code.
 */

/** One end of the channel. */
export interface Channel {
  /** What can no longer be sent is lost; `gone` says so. */
  readonly send: (message: object) => void;
  readonly heard: (listen: (message: unknown) => void) => void;
  /** The other end has left. */
  readonly gone: (listen: () => void) => void;
}

/** What one end answers, by name. */
// biome-ignore lint/suspicious/noExplicitAny: each answer says its own parameters
export type Answers<A> = { readonly [Name in keyof A]: (...args: any[]) => unknown };

export type Call<A extends Answers<A>> = <Name extends keyof A & string>(
  name: Name,
  ...args: Parameters<A[Name]>
) => Promise<Awaited<ReturnType<A[Name]>>>;

interface CallMessage {
  readonly call: number;
  readonly name: string;
  readonly args: readonly unknown[];
}
interface AnswerMessage {
  readonly answer: number;
  readonly value?: unknown;
  readonly error?: { readonly message: string; readonly code?: unknown };
}

/** Calls that wait for their answer. A desk with so many is not served sooner by one more. */
const MOST_WAITING = 1_000;

/**
 * @param mine what this end answers
 * @returns how to call what the other end answers. A call rejects when the other end has left, or when too many wait.
 */
export function createCalls<Theirs extends Answers<Theirs>, Mine extends Answers<Mine> = Answers<object>>(
  channel: Channel,
  mine: Mine,
): Call<Theirs> {
  const waiting = new Map<number, { resolve(value: unknown): void; reject(error: Error): void }>();
  let calls = 0;
  let over = false;

  async function answer({ call, name, args }: CallMessage): Promise<void> {
    try {
      if (!Object.hasOwn(mine, name)) throw new Error(`nobody answers "${name}"`);
      const value = await mine[name as keyof Mine](...args);
      channel.send({ answer: call, value });
    } catch (error) {
      const { message, code } = error as { message?: unknown; code?: unknown };
      channel.send({ answer: call, error: { message: String(message ?? error), code } });
    }
  }

  function settle({ answer, value, error }: AnswerMessage): void {
    const call = waiting.get(answer);
    waiting.delete(answer);
    if (error) call?.reject(Object.assign(new Error(error.message), error.code !== undefined && { code: error.code }));
    else call?.resolve(value);
  }

  channel.heard((message) => {
    if (typeof message !== 'object' || message === null) return;
    if ('call' in message) void answer(message as CallMessage);
    else if ('answer' in message) settle(message as AnswerMessage);
  });
  channel.gone(() => {
    over = true;
    for (const { reject } of waiting.values()) reject(left());
    waiting.clear();
  });

  return (name, ...args) =>
    new Promise((resolve, reject) => {
      if (over) return reject(left());
      if (waiting.size >= MOST_WAITING) return reject(new Error(`${MOST_WAITING} calls of "${name}" and others wait`));
      calls += 1;
      waiting.set(calls, { resolve: resolve as (value: unknown) => void, reject });
      channel.send({ call: calls, name, args });
    });
}

const left = (): Error => Object.assign(new Error('the other process has left'), { code: 'ECONNRESET' });

/** What a process and a worker of it have in common, as ends of the channel between them. */
interface ProcessEnd {
  send?(message: object, handle: undefined, options: undefined, sent: () => void): unknown;
  on(event: 'message', listen: (message: unknown) => void): unknown;
  once(event: 'disconnect', listen: () => void): unknown;
}

/** The channel that Node keeps between a process and one that it forked. */
export function channelTo(end: ProcessEnd): Channel {
  return {
    // Whether it was sent is not asked: `gone` tells all calls at once.
    send: (message) => void end.send?.(message, undefined, undefined, () => {}),
    heard: (listen) => void end.on('message', listen),
    gone: (listen) => void end.once('disconnect', listen),
  };
}
