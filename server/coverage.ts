/**
 * What the grants that a page shows still allow: judged in the same way for a stream of this node and for a connection at
 * a hosted provider.
 */
import type { Channel } from '../adapters/channel.js';
import { comparePositions, isAfter, type Position } from '../adapters/position.js';
import type { Coverage } from '../adapters/streams.js';
import type { Identity } from './access.js';
import type { Follower } from './follower.js';
import type { Grant, Grants } from './grants.js';
import { unavailable } from './http-error.js';
import type { AskedChannels } from './stream-request.js';

/**
 * How far the wall clocks of two nodes may differ, in milliseconds: with NTP they are within one second. A grant that ends
 * later than one made now would was made by a clock that was wrong, and would outlive the right by as much. (In the last
 * `grantLife` before its end nothing tells it from a new one: docs/deploying.md, "Clocks".)
 */
const CLOCK_TOLERANCE = 30_000;

export interface Judge {
  /** Of the grants shown, those that are this user's. */
  ownGrants(tokens: readonly string[], identity: Identity): Grant[];
  /**
   * Waits until this node has caught up with positions that are ahead of it: that is lag. Those of lost entries are left
   * to the resync.
   *
   * @throws HttpError 503 when the node stays behind.
   */
  catchUp(positions: Iterable<Position>): Promise<void>;
  /**
   * The channels that the grants allow, and those for which a new grant is needed. Ask it where the answer is used, in
   * the same turn: grants end and rights are revoked while a request waits.
   */
  coverage(channels: AskedChannels, own: Position | null, grants: readonly Grant[], identity: Identity): Coverage;
}

export interface JudgeOptions {
  readonly follower: Follower;
  readonly grants: Pick<Grants, 'read'>;
  readonly grantLife: number;
  /** Names this process among those that share its secrets. */
  readonly node: string;
  /** Monotonic and wall clock, milliseconds. */
  readonly monotonic: () => number;
  readonly now: () => number;
}

export function createJudge({ follower, grants: { read }, grantLife, node, monotonic, now }: JudgeOptions): Judge {
  const { history } = follower;

  /** For how long a grant still holds, in milliseconds: none or less when it does not. */
  function rest(grant: Grant): number {
    const order = comparePositions(grant.position, history.top);
    if (order === undefined || order > 0 || history.forgotten(grant.position)) return 0;
    // No change of the wall clock ends or prolongs what this node has made itself.
    if (grant.node === node && grant.ends !== undefined) return grant.ends - monotonic();
    const left = grant.expires - now();
    return left <= grantLife + CLOCK_TOLERANCE ? left : 0;
  }

  return {
    ownGrants: (tokens, identity) =>
      tokens.flatMap((token) => {
        const grant = read(token);
        const own =
          grant !== undefined &&
          identity.users.includes(grant.user) &&
          (grant.session === undefined || identity.sessions?.includes(grant.session) === true);
        return own ? [grant] : [];
      }),
    async catchUp(positions) {
      // The furthest one tells about all: a request names a thousand positions, and the engine must be asked once.
      let furthest = history.top;
      for (const position of positions) if (isAfter(position, furthest)) furthest = position;
      if ((await follower.reach(furthest)) === 'late')
        throw unavailable('This server has not caught up yet; try again.');
    },
    coverage(asked, own, grants, identity) {
      const channels = new Map<Channel, number>();
      for (const grant of grants) {
        const left = rest(grant);
        if (left <= 0) continue;
        const ends = monotonic() + left;
        for (const channel of grant.channels) {
          if (!Object.hasOwn(asked, channel) || history.revoked(identity.users, channel, grant.position)) continue;
          if (ends > (channels.get(channel) ?? 0)) channels.set(channel, ends);
        }
      }
      const after = new Map<Channel, Position>();
      const reauthorise: Channel[] = [];
      for (const channel of Object.keys(asked)) {
        const position = asked[channel];
        if (!channels.has(channel)) reauthorise.push(channel);
        else if (position) after.set(channel, position);
      }
      return { channels, after, own, refused: [], reauthorise, until: monotonic() + grantLife };
    },
  };
}
