/**
 * The single place where "who is asking" and "may this user listen to this" are asked. Everything else, on every adapter,
 * works with its answers. What is not named is denied; what throws or takes too long is not answered, which is no refusal.
 */
import { audienceChannel, type Channel } from '../adapters/channel.js';
import type { AuthResult } from '../adapters/protocol.js';
import { HttpError, unavailable } from './http-error.js';
import type { Secrets } from './secrets.js';
import type { EntityAccess, NotifierOptions, User } from './types.js';

/** Everybody may listen, and login sessions have no names. */
const NOBODY_ELSE_IS_ASKED = [true, undefined] as const;

/** Somebody who may listen at all. */
export interface Identity<U = unknown> {
  readonly user: U;
  /** Keyed hashes, one for each secret; the first is the one told to the page. */
  readonly users: readonly [string, ...string[]];
  readonly sessions: readonly [string, ...string[]] | undefined;
  /** The user's and the session's own channels. */
  readonly own: readonly Channel[];
}

export interface Access<Request> {
  /** @throws HttpError 401 without a user, 403 without the right to listen at all, 503 when it could not be told. */
  identify(request: Request): Promise<Identity>;
  /** One answer for each object, in order. Never throws. */
  check(
    identity: Identity,
    objects: readonly { readonly entity: string; readonly id?: string }[],
  ): Promise<AuthResult[]>;
}

export interface AccessOptions<Request, U extends User>
  extends Pick<NotifierOptions<Request, U>, 'user' | 'session' | 'mayListen' | 'canListen'> {
  readonly secrets: Secrets;
  /** Milliseconds for one question. */
  readonly timeout: number;
  readonly onError: (error: unknown) => void;
}

export function createAccess<Request, U extends User>(options: AccessOptions<Request, U>): Access<Request> {
  const { user, session, mayListen, canListen, secrets, timeout, onError } = options;

  /** Gives up an answer of the application after the time limit. */
  async function timely<T>(name: string, answer: Promise<T>): Promise<T> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`${name} took longer than ${timeout} ms (accessTimeout)`)), timeout);
    });
    try {
      return await Promise.race([answer, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Asks a question of the application. Most applications answer at once: a wave of reconnects then makes no timers. */
  function ask<T>(name: string, question: () => T | Promise<T>): T | Promise<T> {
    const answer = question();
    return isLater(answer) ? timely(name, answer) : answer;
  }

  /** The same, where a fault means that the whole request cannot be answered now. */
  async function demand<T>(name: string, question: () => T | Promise<T>): Promise<T> {
    try {
      return await ask(name, question);
    } catch (error) {
      onError(error);
      throw unavailable('The server could not tell who is asking; try again.', error);
    }
  }

  const rules = new Map<string, EntityAccess<U>>(Object.entries(canListen));

  async function checkEntity(
    rule: EntityAccess<U>,
    who: U,
    entity: string,
    ids: readonly (string | undefined)[],
  ): Promise<AuthResult[]> {
    const single = ids.filter((id) => id !== undefined);
    const many = async (): Promise<Set<string>> =>
      ask(
        `canListen.${entity}.many`,
        async () => new Set([...(await (rule.many?.(who, [...new Set(single)]) ?? []))].map(String)),
      );
    const allowed = rule.many && single.length > 0 ? many() : undefined;
    allowed?.catch(onError); // once for all
    return Promise.all(
      ids.map(async (id): Promise<AuthResult> => {
        try {
          let answer: boolean | undefined;
          if (id === undefined) answer = await ask(`canListen.${entity}.all`, () => rule.all?.(who) ?? false);
          else if (allowed) answer = (await allowed).has(id);
          else answer = await ask(`canListen.${entity}.one`, () => rule.one?.(who, id) ?? false);
          // Only a plain yes is a yes: an object or a row that happens to be truthy is a mistake in the rule.
          return answer === true ? 'granted' : 'refused';
        } catch (error) {
          if (id === undefined || !allowed) onError(error);
          return 'retry';
        }
      }),
    );
  }

  return {
    async identify(request) {
      const who = await demand('user', () => user(request));
      const id: unknown = typeof who === 'object' && who !== null ? who.id : who;
      // `false` is what `request.session && request.session.user` comes to without a session.
      if (id === undefined || id === null || id === '' || id === false)
        throw new HttpError(401, 'unauthenticated', 'Nobody is logged in.');
      if ((typeof id !== 'string' && typeof id !== 'number') || Number.isNaN(id)) {
        // As text, all objects would be one and the same user.
        onError(
          new TypeError(
            `user: returned a user whose id is ${typeof id === 'number' ? id : typeof id}, but it must be text or a number`,
          ),
        );
        throw unavailable('The server could not tell who is asking; try again.');
      }
      const [may, name] =
        mayListen || session
          ? await Promise.all([
              demand('mayListen', () => (mayListen ? mayListen(who as U) : true)),
              demand('session', () => session?.(request)),
            ])
          : NOBODY_ELSE_IS_ASKED;
      if (may !== true) throw new HttpError(403, 'forbidden', 'This user may not listen.');
      const users = secrets.hashes('user', String(id));
      const sessions = name ? secrets.hashes('session', name) : undefined;
      const own = [
        ...users.map((hash) => audienceChannel('user', hash)),
        ...(sessions ?? []).map((hash) => audienceChannel('session', hash)),
      ];
      return { user: who, users, sessions, own };
    },
    async check(identity, objects) {
      const results = new Array<AuthResult>(objects.length).fill('refused');
      const byEntity = new Map<string, number[]>();
      objects.forEach(({ entity }, index) => {
        const indices = byEntity.get(entity);
        if (indices) indices.push(index);
        else byEntity.set(entity, [index]);
      });
      await Promise.all(
        [...byEntity].map(async ([entity, indices]) => {
          const rule = rules.get(entity);
          if (!rule) return;
          const answers = await checkEntity(
            rule,
            identity.user as U,
            entity,
            indices.map((index) => objects[index]?.id),
          );
          indices.forEach((index, n) => {
            results[index] = answers[n] ?? 'retry';
          });
        }),
      );
      return results;
    },
  };
}

/** Of the application: perhaps another library's promise. */
function isLater<T>(answer: T | Promise<T>): answer is Promise<T> {
  return typeof (answer as { then?: unknown } | undefined | null)?.then === 'function';
}
