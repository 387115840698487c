/** The leases of the log, on the clock of the server. */
import type { Lease } from '../../../adapters/contract.js';
import type { Position } from '../../../adapters/position.js';
import type { Row } from './connections.js';

/** Does one thing with a lease: see `lease_1` of the migration. */
export type LeaseCall = (
  act: 'claim' | 'renew' | 'release' | 'checkpoint' | 'move',
  fence: number,
  checkpoint?: Position,
) => Promise<readonly Row[]>;

/** Claims the lease; resolves with nothing while somebody else holds it. */
export async function claim(call: LeaseCall): Promise<Lease | undefined> {
  const [row] = await call('claim', 0);
  if (!row) return undefined;
  const fence = Number(row.fence);
  return {
    fence,
    renew: async () => (await call('renew', fence)).length > 0,
    async release() {
      await call('release', fence);
    },
    async checkpoint() {
      const [found] = await call('checkpoint', fence);
      return (found?.checkpoint ?? undefined) as Position | undefined;
    },
    moveCheckpoint: async (position) => (await call('move', fence, position)).length > 0,
  };
}
