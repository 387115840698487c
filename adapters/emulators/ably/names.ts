/** Names that nobody can guess: of connections, keys, apps, and of the lives of channels. */
import { randomBytes } from 'node:crypto';

/** So many letters and digits, which may stand in every name of Ably's. From the system's generator: some are secrets. */
export function randomName(length: number): string {
  return randomBytes(length * 2)
    .toString('base64')
    .replace(/[^A-Za-z0-9]/g, '')
    .slice(0, length)
    .padEnd(length, '0');
}
