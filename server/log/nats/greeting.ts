/**
 * Finds the server that is there. A NATS server speaks first; one that is stopped or half-open accepts connections and says
 * nothing, and the official client keeps the socket of such an attempt for good. So it is only shown one that has spoken.
 */
import { connect } from 'node:net';

export interface Place {
  readonly host: string;
  readonly port: number;
}

/** Resolves with the first that greets within `ms` milliseconds; rejects with a reason when none does. */
export async function firstToGreet(places: readonly Place[], ms: number, signal: AbortSignal): Promise<Place> {
  const enough = new AbortController();
  try {
    return await Promise.any(places.map((place) => greets(place, ms, AbortSignal.any([signal, enough.signal]))));
  } catch (error) {
    const reasons = (error as AggregateError).errors as Error[];
    throw new Error(`no NATS server is there: ${reasons.map(({ message }) => message).join('; ')}`);
  } finally {
    enough.abort();
  }
}

function greets(place: Place, ms: number, signal: AbortSignal): Promise<Place> {
  const { host, port } = place;
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const end = (why?: string): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', given);
      socket.destroy();
      if (why === undefined) resolve(place);
      else reject(new Error(`${host}:${port} ${why}`));
    };
    const given = (): void => end('was given up');
    const timer = setTimeout(() => end(`said nothing within ${ms} ms`), ms);
    signal.addEventListener('abort', given);
    socket.once('data', (chunk: Buffer) => end(chunk.toString().startsWith('INFO') ? undefined : 'is no NATS server'));
    socket.once('error', (error: NodeJS.ErrnoException) => end(`failed (${error.code ?? error.message})`));
    socket.once('close', () => end('ended the connection'));
    if (signal.aborted) given();
  });
}
