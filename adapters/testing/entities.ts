/** The objects that the contract suite of an adapter listens to. */

/** Names that have been somebody's bug. */
export const NAMES: readonly string[] = [
  'a/b',
  '../..',
  '*',
  '@user',
  'ns:x',
  '%2F',
  ' ',
  'é',
  'e\u0301',
  '订单 👩‍👩‍👧',
  '__proto__',
  'constructor',
  'x'.repeat(300),
];

/** The entities that the house must ask `mayListen` about; no other may be listened to. */
export const CONTRACT_ENTITIES: readonly string[] = ['Order', 'Invoice', 'Marker', ...NAMES];
