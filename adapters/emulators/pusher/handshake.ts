/** Whether a connection is taken: its path, protocol version and key, and the account's quotas. */
import type { House } from './house.js';
import { MAX_CONNECTIONS } from './limits.js';

/** 1 to 3 are no longer supported; 7 is the current one. */
const OLDEST = 4;
const NEWEST = 7;

export interface Handshake {
  /** The protocol version that is spoken; 0 when the client did not say one that can be. */
  readonly protocol: number;
  /** The code with which it is closed; `undefined` when it is taken. */
  readonly refused: number | undefined;
}

/**
 * @param url as in the request line
 * @param open how many connections there are already
 * @param most the quota
 */
export function judge(house: House, url: string, open: number, most: number): Handshake {
  const [path = '', query = ''] = url.split(/\?(.*)/s);
  const version = new URLSearchParams(query).get('protocol');
  const number = version !== null && /^\d{1,3}$/.test(version) ? Number(version) : undefined;
  const isSpoken = number !== undefined && number >= OLDEST && number <= NEWEST;
  const key = /^\/app\/([^/]+)\/?$/.exec(path)?.[1];
  const refused = (): number | undefined => {
    if (typeof house.faults.now.connections === 'number') return house.faults.now.connections;
    if (key === undefined) return 4005;
    if (version === null) return 4008;
    if (number === undefined) return 4006;
    if (!isSpoken) return 4007;
    if (key !== house.app.key) return 4001;
    if (house.faults.now.quota || open >= most) return 4004;
    return open >= MAX_CONNECTIONS ? 4100 : undefined;
  };
  return { protocol: isSpoken ? number : 0, refused: refused() };
}
