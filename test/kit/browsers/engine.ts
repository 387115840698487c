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
  /** Takes this tab's network away as the browser's own developer tools do. Not every engine can. */
  readonly offline?: (on: boolean) => Promise<void>;
  /** Freezes and thaws a hidden page, as a browser does to save energy. Only Chromium can be told to. */
  readonly freeze?: (on: boolean) => Promise<void>;
}

export interface Engine {
  readonly name: string;
  /** Name and version, as the browser tells it. */
  readonly version: string;
  /** Opens a tab of the one profile, in front, and resolves when the page is loaded. */
  open(url: string): Promise<Tab>;
  /** The tab that `act` makes the page open. */
  opened(act: () => Promise<unknown>): Promise<Tab>;
  /** When one of its page processes is killed, the browser can no longer be driven; its other pages live on. */
  readonly endsWithProcess: boolean;
  close(): Promise<void>;
}
