/** One small interface over the browsers that the tests drive, so that a test is written once for all of them. */

/** A tab, or a window: one page with a browsing history. */
export interface Tab {
  /** Evaluates an expression in the page, and waits for it if it is a promise. What it gives must be JSON. */
  evaluate<T>(expression: string): Promise<T>;
  /** A person can see it from now on. In Chromium and Firefox the tab that was in front is hidden by that. */
  show(): Promise<void>;
  /** Nobody can see it: another tab is in front, or its window is minimised. */
  hide(): Promise<void>;
  close(): Promise<void>;
  /** The process in which its page runs. */
  process(): Promise<number>;
  /** Clicks the element with this id as a person does: what a browser allows only then (a pop-up) is allowed. */
  click(id: string): Promise<void>;
  /** Takes this tab's network away, as the browser's own developer tools do. */
  offline?(on: boolean): Promise<void>;
  /** Freezes and thaws a hidden page, as a browser does to save energy. */
  freeze?(on: boolean): Promise<void>;
}

export interface Engine {
  /** Name and version, as the browser tells it. */
  readonly version: string;
  /** Opens a tab of the one profile, in front, and resolves when the page is loaded. */
  open(url: string): Promise<Tab>;
  /** The tab that `act` makes the page open. */
  opened(act: () => Promise<unknown>): Promise<Tab>;
  close(): Promise<void>;
}

export type EngineName = 'Chromium' | 'Firefox' | 'WebKitGTK';

/** What can be done to a browser from outside. */
export interface Abilities {
  /** Its tabs have a switch that takes the network away. */
  readonly offline: boolean;
  /** It can be told to freeze a page. */
  readonly freezes: boolean;
  /** It can still be driven when the process of one of its pages was killed. */
  readonly survives: boolean;
  /** Its back/forward cache takes a page that closes its connection and gives its lock back in `pagehide`. */
  readonly keeps: boolean;
}

export const ABILITIES: Readonly<Record<EngineName, Abilities>> = {
  Chromium: { offline: true, freezes: true, survives: true, keeps: true },
  // It decides before `pagehide`: a page that has a request open or a lock is not kept, but loaded anew.
  Firefox: { offline: true, freezes: false, survives: true, keeps: false },
  // The driver ends its session at the first crash. The browser and its other pages live on.
  WebKitGTK: { offline: false, freezes: false, survives: false, keeps: true },
};
