/**
 * LISTEN on a connection of its own: a hint that something was appended. It is believed only after a message of its own has
 * come through, since a pooler takes LISTEN and delivers nothing, and for as long as its connection answers.
 */
import { randomUUID } from 'node:crypto';
import { inTime } from '../../in-time.js';
import type { Connections, PgClient } from './connections.js';

/** How often the connection is asked whether it is alive, and how long it may take to answer, in milliseconds. */
const KEEP_ALIVE_MS = 3_000;
const ANSWER_MS = 2_000;
/** The wait before the next try, in milliseconds: doubled up to the longest, half of it random. */
const FIRST_RETRY = 100;
const LONGEST_RETRY = 5_000;
/** Where LISTEN delivers nothing it is tried again after so many milliseconds, half of it random. */
const DEAF_RETRY = 60_000;
/** Between reads without a hint, in milliseconds: while hints come, and while none do. */
const IDLE_HEARING = 1_000;
const IDLE_DEAF = 50;

export interface ListenerOptions {
  readonly connections: Connections;
  readonly channel: string;
  readonly hint: () => void;
  /** LISTEN was taken, and nothing came: once for each log. */
  readonly deaf: () => void;
}

export interface Listener {
  /** As in `EngineDriver`. */
  idle(): number;
  close(): void;
}

export function createListener({ connections, channel, hint, deaf }: ListenerOptions): Listener {
  let hearing = false;
  let closed = false;
  let told = false;
  let failures = 0;
  let timer: NodeJS.Timeout | undefined;
  let current: PgClient | undefined;

  const random = (ms: number): number => ms * (0.5 + Math.random() / 2);

  function later(run: () => Promise<void>, ms: number): void {
    if (closed) return;
    timer = setTimeout(() => void run(), ms);
    timer.unref();
  }

  function end(client: PgClient): void {
    if (current !== client) return;
    current = undefined;
    hearing = false;
    clearTimeout(timer);
    // It may hang. What it holds is a socket, which goes with the next drop, or when TCP gives it up.
    client.end().catch(() => {});
    // Something may have been appended since the connection was last alive.
    hint();
  }

  async function listen(): Promise<void> {
    let heard: (() => void) | undefined;
    let client: PgClient | undefined;
    try {
      const opened = await connections.single();
      client = opened;
      current = opened;
      const over = (): void => {
        if (current !== opened) return;
        end(opened);
        again();
      };
      const token = randomUUID();
      const echo = new Promise<void>((resolve) => {
        heard = resolve;
      });
      opened.on('notification', ({ payload }) => {
        if (payload === token) heard?.();
        else hint();
      });
      opened.on('error', over);
      opened.on('end', over);
      await opened.connect();
      if (closed) return end(opened);
      await inTime(opened.query(`LISTEN ${channel}`), ANSWER_MS, 'LISTEN');
      // Over another connection: a pooler could deliver on this one what it was just asked itself.
      await connections.own(
        connections.query('SELECT pg_notify($1, $2)', [channel, token]),
        'a notification of its own',
      );
      const came = await inTime(echo, ANSWER_MS, 'a notification').then(
        () => true,
        () => false,
      );
      if (current !== opened) return; // it ended meanwhile, and the next try is set
      if (!came) {
        end(opened);
        if (!told && !closed) deaf();
        told = true;
        return later(listen, random(DEAF_RETRY));
      }
      failures = 0;
      hearing = true;
      later(() => keepAlive(opened), KEEP_ALIVE_MS);
    } catch {
      // Why the database cannot be reached, reads tell.
      if (client && current !== client) return;
      if (client) end(client);
      again();
    }
  }

  function again(): void {
    failures++;
    later(listen, random(Math.min(FIRST_RETRY * 2 ** failures, LONGEST_RETRY)));
  }

  async function keepAlive(client: PgClient): Promise<void> {
    try {
      await inTime(client.query('SELECT 1'), ANSWER_MS, 'an answer');
      if (current === client) later(() => keepAlive(client), KEEP_ALIVE_MS);
    } catch {
      if (current !== client) return;
      end(client);
      again();
    }
  }

  void listen();
  return {
    idle: () => (hearing ? IDLE_HEARING : IDLE_DEAF),
    close() {
      closed = true;
      clearTimeout(timer);
      if (current) end(current);
    },
  };
}

/** For a log that shall not listen. */
export const deafListener: Listener = { idle: () => IDLE_DEAF, close() {} };
