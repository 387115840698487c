/**
 * Loaded before each test file. It says how long a test waits for what must come: only what never comes takes so long, and
 * a machine that is busy with something else must not look like that. It also clears up behind the file, since the next
 * one may run in the same process (`isolate` in vite.config.ts).
 */
import { afterAll, vi } from 'vitest';

/** Vitest's own second is over before a busy machine has scheduled both ends of a connection. Milliseconds. */
const PATIENCE = 20_000;

const { waitFor, waitUntil } = vi;

/** What a test names itself is taken as it is. */
const patient = (options: number | { timeout?: number; interval?: number } = {}) =>
  typeof options === 'number' ? options : { timeout: PATIENCE, ...options };

vi.waitFor = (callback, options) => waitFor(callback, patient(options));
vi.waitUntil = (callback, options) => waitUntil(callback, patient(options));

afterAll(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
  vi.waitFor = waitFor;
  vi.waitUntil = waitUntil;
});
