/** The names of a namespace's streams and subjects. */
import { createHash } from 'node:crypto';

export interface Names {
  /** The stream of the entries. */
  readonly log: string;
  /** The stream of what is not to expire: epoch, leases, and the nodes' records. One message for each subject. */
  readonly state: string;
  /** Entries without a key. */
  readonly entries: string;
  /** Entries with this key. */
  key(dedupeKey: string): string;
  /** All that `key` makes. */
  readonly keys: string;
  /** All subjects of the state. */
  readonly states: string;
  readonly epoch: string;
  /** Is written only to be told the server's time. */
  readonly clock: string;
  lease(name: string): string;
  share(node: string): string;
  readonly shares: string;
}

export function namesOf(namespace: string): Names {
  const root = `notify-listen.${namespace}`;
  return {
    log: `notify-listen-log-${namespace}`,
    state: `notify-listen-state-${namespace}`,
    entries: `${root}.log.entries`,
    // As JSON, which escapes lone surrogates: in UTF-8 all of them are one.
    key: (dedupeKey) => `${root}.log.key.${hashOf(JSON.stringify(dedupeKey))}`,
    keys: `${root}.log.key.*`,
    states: `${root}.state.>`,
    epoch: `${root}.state.epoch`,
    clock: `${root}.state.clock`,
    lease: (name) => `${root}.state.lease.${hashOf(name)}`,
    share: (node) => `${root}.state.share.${node}`,
    shares: `${root}.state.share.*`,
  };
}

/** A key or name may hold anything; a subject may not. */
function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
