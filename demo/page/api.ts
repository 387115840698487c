/** The API of the order desk. Every call goes through `client.fetch`, so that the server knows who caused a change. */
import { client } from './listening.js';
import { base, me } from './person.js';

export class ApiError extends Error {
  readonly status: number;
  /** 409: who was first. */
  readonly changedBy: string | undefined;
  constructor(status: number, answer: { message?: string; changedBy?: string }) {
    super(answer.message ?? `The server answered ${status}.`);
    this.status = status;
    this.changedBy = answer.changedBy;
  }
}

async function call<T>(method: string, path: string, body?: unknown): Promise<T> {
  const init: RequestInit = { method };
  if (body !== undefined) {
    init.headers = { 'content-type': 'application/json' };
    init.body = JSON.stringify(body);
  }
  const response = await client.fetch(`${base}/api/${path}`, init);
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  if (response.status === 401) me.set(null);
  throw new ApiError(response.status, answer);
}

export function get<T>(path: string): Promise<T> {
  return call('GET', path);
}

export function post<T>(path: string, body: unknown = {}): Promise<T> {
  return call('POST', path, body);
}

export function patch<T>(path: string, body: unknown): Promise<T> {
  return call('PATCH', path, body);
}
