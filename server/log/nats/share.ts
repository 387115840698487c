/** What the nodes tell each other: one message of the state stream for each node, judged by the server's clock. */
import { deleteMessage, getMessage, publish, streamInfo } from './api.js';
import type { Names } from './names.js';
import type { Wire } from './wire.js';

/** A record that has been over for so many times its life is taken away, by whoever sees it. */
const FORGOTTEN = 10;
/** Records of nodes that are read: far above any cluster, so that records that nobody took away cannot stop the rest. */
const MOST = 1_000;

interface ShareRecord {
  readonly record: string;
  readonly ttl: number;
}

/** Leaves the node's record and resolves with those of the others that are not over. */
export async function share(
  wire: Wire,
  names: Names,
  node: string,
  record: string,
  ttlMs: number,
): Promise<readonly string[]> {
  const own = names.share(node);
  const body: ShareRecord = { record, ttl: ttlMs };
  const seq = await publish(wire, names.state, own, JSON.stringify(body));
  const info = await streamInfo(wire, names.state, names.shares);
  const others = Object.keys(info?.state.subjects ?? {}).filter((subject) => subject !== own);
  const [mine, ...stored] = await Promise.all(
    [seq ?? own, ...others.slice(0, MOST)].map((which) => getMessage(wire, names.state, which)),
  );
  const now = mine?.time ?? Number.NEGATIVE_INFINITY;
  return stored.flatMap((message) => {
    if (!message) return [];
    const theirs = recordOf(message.data);
    if (theirs && now - message.time < theirs.ttl) return [theirs.record];
    // Not waited for, and no harm if it fails: the next one tries again.
    if (!theirs || now - message.time > theirs.ttl * FORGOTTEN)
      deleteMessage(wire, names.state, message.seq).catch(() => {});
    return [];
  });
}

/** None for what no node wrote: nothing else would ever take it away. */
function recordOf(data: string): ShareRecord | undefined {
  try {
    const { record, ttl } = JSON.parse(data) as Partial<ShareRecord>;
    return typeof record === 'string' && typeof ttl === 'number' ? { record, ttl } : undefined;
  } catch {
    return undefined;
  }
}

/** Takes the node's record away. */
export async function unshare(wire: Wire, names: Names, node: string): Promise<void> {
  const stored = await getMessage(wire, names.state, names.share(node));
  if (stored) await deleteMessage(wire, names.state, stored.seq);
}
