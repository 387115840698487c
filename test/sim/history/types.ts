/** A history as data: who is there, and what happens when. It says everything that the seed has decided before it runs. */

export interface ObjectPlan {
  readonly entity: string;
  readonly id?: string;
}

export interface ListenerPlan extends ObjectPlan {
  /** One row for each list of actions; `*` is all. */
  readonly rows: readonly (readonly string[])[];
}

export interface TabPlan {
  /** Tabs of one browser share their user, their clocks and their machine. */
  readonly browser: number;
  /** When its page load begins, in milliseconds. */
  readonly opens: number;
  /** Between the load of its data and its first listener. */
  readonly loads: number;
  /** Rendered by a server that took `position()` before it read the data. */
  readonly rendered: boolean;
  readonly listeners: readonly ListenerPlan[];
  readonly latency: number;
  readonly jitter: number;
}

export interface Setup {
  readonly nodes: number;
  /**
   * `shared`: an engine that pushes. `driven`: the same, read by the shipped core of the shared logs. `memory`: the shipped
   * memory log, which ends with the processes.
   */
  readonly log: 'shared' | 'driven' | 'memory';
  /** What the drivers of a driven log wait for hints, in milliseconds, and how many entries one slice has at most. */
  readonly driver: { readonly idle: number; readonly slice: number };
  readonly provider: boolean;
  readonly sharing: boolean;
  readonly grantLife: number;
  readonly retention: number;
  /** Bytes that a node may write before a page has read them. */
  readonly capacity: number;
  /** How long an access question takes, at most. */
  readonly access: number;
  /** Users of the browsers. */
  readonly users: readonly string[];
  /** What each user may see from the beginning: channels. */
  readonly rights: Readonly<Record<string, readonly string[]>>;
  readonly tabs: readonly TabPlan[];
}

/** One thing that happens. `at` and `for` are milliseconds. */
export type Action = { readonly at: number } & (
  | ({
      readonly do: 'notify';
      readonly node: number;
      readonly action: string;
      /** So many calls, so far apart. */
      readonly times: number;
      readonly every: number;
      readonly to?: string;
      readonly except?: string;
    } & ObjectPlan)
  | { readonly do: 'cut'; readonly tab: number; readonly bytes: number }
  | { readonly do: 'silence'; readonly tab: number; readonly for: number }
  | { readonly do: 'outage'; readonly tab: number; readonly for: number }
  | { readonly do: 'delay'; readonly tab: number; readonly for: number; readonly ms: number }
  | { readonly do: 'swallow'; readonly tab: number; readonly count: number; readonly for: number }
  | {
      readonly do: 'garble';
      readonly tab: number;
      readonly for: number;
      readonly how: 'html' | 'login' | 'empty' | 'error' | 'torn';
    }
  | { readonly do: 'buffer'; readonly tab: number; readonly for: number }
  | { readonly do: 'shorten'; readonly tab: number; readonly for: number; readonly longest: number }
  | { readonly do: 'repeat'; readonly tab: number; readonly count: number }
  | {
      readonly do: 'kill';
      readonly node: number;
      readonly effects: number;
      readonly silent: boolean;
      readonly for: number;
    }
  | { readonly do: 'roll' }
  | { readonly do: 'rotate' }
  | { readonly do: 'stall'; readonly node: number; readonly for: number; readonly dead: boolean }
  | { readonly do: 'unlink'; readonly node: number; readonly for: number; readonly how: 'refused' | 'void' }
  | { readonly do: 'engine'; readonly for: number; readonly how: 'fails' | 'unanswered' | 'hangs' }
  | { readonly do: 'trim'; readonly keep: number }
  | { readonly do: 'epoch' }
  | { readonly do: 'lose'; readonly for: number }
  | {
      readonly do: 'brownout';
      readonly for: number;
      readonly how: 'refuses' | 'freezes' | 'late' | 'deaf';
      /** The node to which it is late; -1: to all. */
      readonly node: number;
      /** What a way takes longer while it is late. */
      readonly ms: number;
    }
  | {
      readonly do: 'regress';
      /** So many of the newest entries are lost under the same epoch. */
      readonly count: number;
      /** For so long no read of a driver sees that the engine is not what it was, if a node that lives had read it all. */
      readonly unnoticed: number;
      readonly for: number;
    }
  | {
      readonly do: 'freeze';
      readonly tab: number;
      readonly leads: boolean;
      readonly told: boolean;
      readonly for: number;
      readonly sockets: 'kept' | 'cut' | 'silent';
      readonly wakes: boolean;
      /** It is not looked at again: frozen to the end. */
      readonly stays: boolean;
    }
  | { readonly do: 'crash'; readonly tab: number; readonly leads: boolean; readonly for: number }
  | { readonly do: 'close'; readonly tab: number; readonly for: number }
  | { readonly do: 'hide'; readonly tab: number; readonly for: number }
  | {
      readonly do: 'sleep';
      readonly browser: number;
      readonly for: number;
      readonly sockets: 'kept' | 'cut' | 'silent';
    }
  | { readonly do: 'jump'; readonly browser: number; readonly ms: number }
  | { readonly do: 'skew'; readonly node: number; readonly ms: number; readonly for: number }
  | ({
      readonly do: 'withdraw';
      readonly user: string;
      readonly revokes: boolean;
      readonly node: number;
      readonly for: number;
    } & ObjectPlan)
  | { readonly do: 'expire'; readonly for: number }
  | { readonly do: 'doubt'; readonly for: number }
  | { readonly do: 'user'; readonly browser: number; readonly user: string }
  | { readonly do: 'spoil'; readonly tab: number; readonly for: number }
  | { readonly do: 'remount'; readonly tab: number; readonly listener: number; readonly for: number }
  | { readonly do: 'lag'; readonly for: number }
  | {
      readonly do: 'provider';
      readonly for: number;
      /** To the end of the history. */
      readonly stays: boolean;
      readonly how: 'down' | 'loses' | 'repeats' | 'refuses' | 'cuts';
    }
);

export type ActionKind = Action['do'];

export interface History {
  readonly seed: number;
  /** `calm`: no fault at all. `pure`: faults of one kind. `mixed`: of any. */
  readonly kind: 'calm' | 'pure' | 'mixed';
  readonly setup: Setup;
  /** In order of time. */
  readonly actions: readonly Action[];
}
