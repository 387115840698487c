/** What the parts of the table measure, and what must be reached. */

/** One figure of one server, over the rounds of a run. */
export interface Figure {
  /** What is measured: `fan-out, 1,000 listeners`. */
  readonly name: string;
  /** Whose it is: `notify-listen`, `limit`, `ws` … */
  readonly of: string;
  readonly unit: 'µs' | 'ms' | 'KiB' | 'kB' | 'requests';
  /** One value for each round. */
  readonly values: readonly number[];
  /** The value over that of the limit (or of what else it is compared with) in the same round. None: the value counts. */
  readonly ratios?: readonly number[];
  /** What must be reached, by the ratio where there is one, else by the value. */
  readonly target?: number;
}

export interface PartOptions {
  /** How often each server is measured, in turn with the others. */
  readonly rounds: number;
}

/** A part of the table; each is a file in `bench/parts/`. */
export type Part = (options: PartOptions) => Promise<readonly Figure[]>;
