/** Capabilities: which operations on which channels a key or a token allows. */
import { AblyError } from './errors.js';

/** Patterns of channel names, each with what may be done there; `*` stands for every operation. */
export type Capability = Readonly<Record<string, readonly string[]>>;

const OPERATIONS: ReadonlySet<string> = new Set([
  'subscribe',
  'publish',
  'presence',
  'presence-subscribe',
  'history',
  'stats',
  'channel-metadata',
  'push-subscribe',
  'push-admin',
  'privileged-headers',
  'object-subscribe',
  'object-publish',
  'annotation-subscribe',
  'annotation-publish',
  'message-update-own',
  'message-update-any',
  'message-delete-own',
  'message-delete-any',
]);

/** Of every key that is made without one. */
export const EVERYTHING: Capability = { '*': ['*'] };

/** @throws AblyError 40003 for anything that is not a capability */
export function parseCapability(given: unknown): Capability {
  const bad = (why: string): AblyError => new AblyError(40003, `invalid capability: ${why}`);
  let value = given;
  if (typeof value === 'string') {
    try {
      value = JSON.parse(value);
    } catch {
      throw bad('not JSON');
    }
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad('an object is expected');
  const entries = Object.entries(value);
  for (const [resource, operations] of entries) {
    if (!Array.isArray(operations) || operations.length === 0) throw bad(`${resource} has no list of operations`);
    if (operations.includes('*') && operations.length > 1) throw bad(`${resource} has * and others`);
    const unknown = operations.find((operation) => operation !== '*' && !OPERATIONS.has(String(operation)));
    if (unknown !== undefined) throw bad(`${resource} has the unknown operation ${unknown}`);
  }
  return Object.fromEntries(entries) as Capability;
}

/** The canonical text: sorted, as the vendor's clients sign it. */
export function capabilityText(capability: Capability): string {
  const sorted = Object.keys(capability)
    .sort()
    .map((resource) => [resource, [...(capability[resource] ?? [])].sort()]);
  return JSON.stringify(Object.fromEntries(sorted));
}

/** `[meta]name` -> the qualifier and the rest; a name without one has an empty qualifier. */
function split(resource: string): readonly [qualifier: string, name: string] {
  const found = /^\[([^\]]*)\](.*)$/s.exec(resource);
  return found ? [found[1] ?? '', found[2] ?? ''] : ['', resource];
}

/**
 * Whether everything that `resource` (a channel or itself a pattern) stands for is under `pattern`. `*` stands for one
 * whole segment, at the end for all that follow; `[*]*` also for names with a qualifier.
 */
export function covers(pattern: string, resource: string): boolean {
  const [qualifier, name] = split(pattern);
  const [asked, rest] = split(resource);
  if (qualifier !== '*' && qualifier !== asked) return false;
  const segments = name.split(':');
  const parts = rest.split(':');
  for (const [index, segment] of segments.entries()) {
    const part = parts[index];
    if (part === undefined) return false;
    if (segment === '*' && index === segments.length - 1) return true;
    if (segment !== '*' && segment !== part) return false;
  }
  return segments.length === parts.length;
}

/** Whether this operation is allowed on this channel. */
export function allows(capability: Capability, channel: string, operation: string): boolean {
  return Object.entries(capability).some(
    ([pattern, operations]) => (operations.includes('*') || operations.includes(operation)) && covers(pattern, channel),
  );
}

/** What both allow: a token can do no more than its key. May be empty. */
export function intersect(asked: Capability, held: Capability): Capability {
  const result = new Map<string, Set<string>>();
  for (const [wanted, operations] of Object.entries(asked)) {
    for (const [pattern, permitted] of Object.entries(held)) {
      const resource = covers(pattern, wanted) ? wanted : covers(wanted, pattern) ? pattern : undefined;
      if (resource === undefined) continue;
      const common = permitted.includes('*')
        ? operations
        : operations.includes('*')
          ? permitted
          : operations.filter((operation) => permitted.includes(operation));
      if (common.length === 0) continue;
      const sum = result.get(resource) ?? new Set<string>();
      for (const operation of common) sum.add(operation);
      result.set(resource, sum);
    }
  }
  return Object.fromEntries(
    [...result].map(([resource, operations]) => [resource, operations.has('*') ? ['*'] : [...operations].sort()]),
  );
}
