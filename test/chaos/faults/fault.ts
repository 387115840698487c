/** What a fault of the chaos run is: it strikes, lasts a while and is over when its promise resolves. */
import type { Chance } from '../random.js';

/** Faults of different lanes strike beside each other, one of each at a time. */
export type Lane = 'network' | 'process' | 'engine';

export interface Fault {
  readonly name: string;
  readonly lane: Lane;
  /** Tells what it did, in short. */
  strike(chance: Chance): Promise<string>;
}

/** How long a fault lasts, in milliseconds, given its own longest. Where the whole run is short it is less. */
export type Lasting = (chance: Chance, most: number) => number;

/** At least half a second, at most what the fault itself or the run allows. */
export const lasting =
  (longest: number): Lasting =>
  (chance, most) =>
    chance.between(500, Math.min(most, longest));
