/**
 * A server with one value for each order, and pages that show one: a page reads the value with a plain fetch, when it
 * starts and whenever the library says so. What it shows against what the server has is the whole question.
 */
import type { RequestHandler } from 'express';
import { createListenClient, type ListenClient, type ListenClientOptions } from 'notify-listen/client';
import { expect, onTestFinished, vi } from 'vitest';
import type { World } from '../../adapters/contract.js';
import { type ServeOptions, type ServerKind, serve, type TestServer } from '../kit/server.js';

/** For what takes as long as a network does, on a machine that has much else to do. */
export const SOON = { timeout: 20_000, interval: 10 };
/** For what must not wait for the next heartbeat, or for a buffer to fill. Milliseconds. */
export const AT_ONCE = 5_000;

export interface Desk {
  readonly server: TestServer;
  /** Changes an order and notifies. Returns the value that every page of it must come to show. */
  change(id: number): Promise<number>;
  value(id: number): number;
}

/** Nobody is slowed down by the limits of one user: a proxy that cuts every moment makes many openings. */
const LIMITS = { openingsBurst: 1e6, openingsPerSecond: 1e6 };

export async function startDesk(options: ServeOptions = {}, kind: ServerKind = 'Express 5'): Promise<Desk> {
  const values = new Map<number, number>();
  const value = (id: number): number => values.get(id) ?? 0;
  const read: RequestHandler = (request, response, next) => {
    const id = /^\/values\/(\d+)$/.exec(request.path)?.[1];
    if (id === undefined) return next();
    response.set('cache-control', 'no-store').json({ value: value(Number(id)) });
  };
  const server = await serve(kind, { limits: LIMITS, ...options, after: [read, ...(options.after ?? [])] });
  return {
    server,
    value,
    async change(id) {
      values.set(id, value(id) + 1);
      const { accepted } = await server.notifier.notify('updated', { entity: 'Order', id });
      expect(accepted).toBe(true);
      return value(id);
    },
  };
}

/**
 * A page whose time runs five times as fast, so that its waits and limits cost a test a fifth. Its ages of news are then
 * wrong to the safe side: it may refresh once too often.
 */
export function hurried(): Partial<World> {
  const [wall, mono] = [Date.now(), performance.now()];
  return {
    now: () => wall + 5 * (Date.now() - wall),
    monotonic: () => mono + 5 * (performance.now() - mono),
    setTimeout: (run, ms) => setTimeout(run, ms / 5),
  };
}

/** A page without a browser. */
export interface Watcher {
  readonly client: ListenClient;
  /** The value that it shows. */
  shown(): number | undefined;
  /** Each status in short, newest last, without repetition: `connected sse`, `reconnecting`. */
  readonly states: readonly string[];
  /** How often a link that worked was lost. */
  losses(): number;
  errors(): readonly string[];
}

export function watch(origin: string, id: number, options: ListenClientOptions = {}): Watcher {
  const states: string[] = [];
  const errors: string[] = [];
  let shown: number | undefined;
  const client = createListenClient({
    url: `${origin}/notify-listen`,
    headers: { 'x-user': 'ann' },
    onError: (error) => errors.push(String((error as { code?: unknown }).code ?? error)),
    ...options,
  });
  onTestFinished(() => client.close());
  client.onStatus(() => {
    const { state, via, error } = client.status();
    const told = via === undefined ? state : `${state} ${via}`;
    if (told !== states.at(-1)) states.push(told);
    if (error && errors.at(-1) !== error.code) errors.push(error.code);
  });
  const read = async (): Promise<void> => {
    const response = await fetch(`${origin}/values/${id}`, { signal: AbortSignal.timeout(3_000) });
    if (!response.ok) throw new Error(`values: ${response.status}`);
    shown = ((await response.json()) as { value: number }).value;
  };
  const loadedAt = Date.now();
  void read().catch(() => {});
  client.listen({ entity: 'Order', id }, { '*': read }, { loadedAt });
  return {
    client,
    shown: () => shown,
    states,
    losses: () =>
      states.filter((state, at) => state === 'reconnecting' && states[at - 1]?.startsWith('connected')).length,
    errors: () => errors,
  };
}

/** Waits for the client to be connected in this way. */
export async function connected({ client }: Watcher, via: string, timeout: number = SOON.timeout): Promise<void> {
  await vi.waitFor(() => expect(client.status()).toMatchObject({ state: 'connected', via }), { ...SOON, timeout });
}

/** A change is shown. */
export async function follows(desk: Desk, watcher: Watcher, id: number, timeout: number = SOON.timeout): Promise<void> {
  const value = await desk.change(id);
  await vi.waitFor(() => expect(watcher.shown()).toBe(value), { ...SOON, timeout });
}

/** Lets the link be lost so many times, changing the value around every loss: before it, at it and after it. */
export async function followsOverLosses(desk: Desk, watcher: Watcher, id: number, losses: number): Promise<void> {
  const before = watcher.losses();
  for (let n = 1; n <= losses; n += 1) {
    await vi.waitFor(() => expect(watcher.losses()).toBeGreaterThanOrEqual(before + n), {
      timeout: 40_000,
      interval: 2,
    });
    const value = await desk.change(id);
    await vi.waitFor(() => expect(watcher.shown()).toBe(value), SOON);
    await follows(desk, watcher, id);
  }
}
