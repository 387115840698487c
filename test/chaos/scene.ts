/** What a chaos run plays in: pages, the ways to the application, and the application, which is one process or a cluster. */
import type { Application } from './application.js';
import type { Page } from './browsers.js';
import type { Fault, Lasting } from './faults/fault.js';
import type { Ledger } from './ledger.js';
import type { Chance } from './random.js';

export interface Scene {
  readonly pages: readonly Page[];
  readonly applications: readonly Application[];
  readonly faults: readonly Fault[];
  /** What is not there, a sentence for each. */
  readonly skipped: readonly string[];
  /** Stores a value and notifies; tells whether the notification was accepted. */
  change(id: string, value: number): Promise<boolean>;
  /** The last fault of a round: what can only be noticed by silence. It lasts until `heal`; tells what it is. */
  lastAct(chance: Chance): string;
  /** Takes away all faults of the ways. */
  heal(): Promise<void>;
  /** What the server processes say of themselves now. */
  state(): Promise<string>;
  /** The end of what the processes have printed. */
  output(): string;
  close(): Promise<void>;
}

export interface SceneOptions {
  readonly items: Items;
  readonly chance: Chance;
  readonly lasts: Lasting;
  /** Folder of values and page. */
  readonly data: string;
  /** The server, as plain Node runs it. */
  readonly script: string;
  /** Environment of every server. */
  readonly env: Readonly<Record<string, string>>;
}

export interface Items {
  readonly ledger: Ledger;
  /** They change all the time. */
  readonly busy: readonly string[];
  /** Each changes once in a round, and every page shows all of them: what is lost of them is not covered up by what follows. */
  readonly once: readonly string[];
}

export const pageAt = (origin: string, user: string, ids: readonly string[]): string =>
  `${origin}/page?user=${user}&ids=${ids.join(',')}`;
