/** What the frames of a file say: the first is its head, the others are records of what was added. */
import type { LogEntry } from '../../../adapters/contract.js';
import type { Position } from '../../../adapters/position.js';
import type { KeptLease } from '../leases.js';
import type { Frame } from './frames.js';

const FORMAT = 1;

export interface Head {
  readonly epoch: string;
  /** The file itself, by which a copy is told from it. */
  readonly id: string;
  readonly birth: string;
  /** The number of the lock of the owner that made it. */
  readonly by: number;
  /** Offsets. */
  readonly floor: number;
  readonly top: number;
  /** No offset up to this one is given again. */
  readonly offset: number;
}

export interface Placed {
  readonly offset: number;
  /** How long the log had been running when it was accepted, in milliseconds, all runs together. */
  readonly life: number;
  readonly entry: LogEntry;
}

export interface Content extends Head {
  /** The running number of the last frame. */
  readonly number: number;
  readonly life: number;
  readonly placed: readonly Placed[];
  readonly leases: readonly KeptLease[];
}

export function headText(head: Head): string {
  return JSON.stringify({ format: FORMAT, ...head });
}

/** An entry in its place, its JSON given. */
export function placedText(offset: number, life: number, entry: string): string {
  return `[${offset},${life},${entry}]`;
}

export function recordText(life: number, placed: readonly string[], leases: readonly KeptLease[]): string {
  const kept = leases.map(({ name, fence, checkpoint }) => [name, fence, checkpoint ?? null]);
  return `{"life":${life},"leases":${JSON.stringify(kept)},"entries":[${placed.join(',')}]}`;
}

interface Record {
  readonly life: number;
  readonly leases: readonly (readonly [name: string, fence: number, checkpoint: Position | null])[];
  readonly entries: readonly (readonly [offset: number, life: number, entry: LogEntry])[];
}

/** @returns why the frames cannot be read, as the end of a sentence, or what they say. */
export function readContent(frames: readonly Frame[]): Content | string {
  const [first, ...others] = frames;
  if (!first) return 'has no beginning';
  const head = JSON.parse(first.text) as Head & { readonly format?: number };
  if (head.format !== FORMAT) return `is of another version (${head.format})`;
  let { top, offset } = head;
  let life = 0;
  let { number } = first;
  const placed: Placed[] = [];
  const leases = new Map<string, KeptLease>();
  for (const frame of others) {
    const record = JSON.parse(frame.text) as Record;
    ({ life } = record);
    ({ number } = frame);
    for (const [name, fence, checkpoint] of record.leases)
      leases.set(name, { name, fence, checkpoint: checkpoint ?? undefined });
    for (const [at, since, entry] of record.entries) {
      placed.push({ offset: at, life: since, entry });
      top = Math.max(top, at);
      offset = Math.max(offset, at);
    }
  }
  return { ...head, top, offset, number, life, placed, leases: [...leases.values()] };
}
