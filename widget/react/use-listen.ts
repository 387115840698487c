/** The hook: one listener for as long as the component is mounted and its object stays the same. */
import { useEffect, useInsertionEffect, useState } from 'react';
import type { ObjectRef } from '../../adapters/contract.js';
import type { ActionOf } from '../../adapters/define.js';
import type { ListenError } from '../../adapters/errors.js';
import { DEV } from '../client/dev.js';
import { readObject } from '../client/object.js';
import type { Actions, Listening, ListenOptions } from '../client/types.js';
import type { NoObject } from './listen-object.js';
import { defined, useSystem } from './listen-provider.js';
import { misconfigured } from './misconfigured.js';
import type { System } from './system.js';

/** What a listener of the page is doing. A new object whenever something in it changed. */
export interface ListenState {
  /** Nothing can be missed any more. `false` until then, without an object, while refused, and while nobody is logged in. */
  readonly ready: boolean;
  /** Why it never will be ready by itself: this user may not listen to the object, say. */
  readonly error?: ListenError;
}

export type UseListenOptions = { readonly [K in keyof ListenOptions]: ListenOptions[K] | undefined } & {
  /** The `name` of the provider that is meant. Default: the one without a name. */
  readonly system?: string | undefined;
};

const WAITING: ListenState = { ready: false };
const READY: ListenState = { ready: true };

/**
 * Listens to an object and runs the rows of `actions` that a notification selects. Functions may be written inline: the
 * ones of the newest render run, and rendering again causes no traffic. Neither does an equal new object; another
 * object moves the listener; a falsy one listens to nothing.
 *
 * @throws ListenError `configuration`, at render and only in development, with the fix in its message.
 */
export function useListen<O extends ObjectRef = ObjectRef>(
  object: O | NoObject,
  actions: Actions<ActionOf<O>>,
  { system, ...options }: UseListenOptions = {},
): ListenState {
  return useListening(targetOf(object), actions as Actions, system, options, true);
}

/** What to listen to, or why that cannot be. */
export interface Target {
  readonly object?: ObjectRef;
  readonly problem?: ListenError;
}

/** What the newest commit said, and the listener that it belongs to. */
interface Held {
  system?: System;
  object?: ObjectRef | undefined;
  actions: Actions;
  options: ListenOptions;
  listening?: Listening | undefined;
  /** What was wrong with the actions of the last render, so that rendering again does not report it again. */
  mistake?: string | undefined;
  /** A state was told since the listener was made. */
  told?: boolean;
}

/** What is told of the listener on this object; nothing yet without `is`. One state, for a hook less in each component. */
interface Told {
  readonly held: Held;
  readonly system?: System;
  readonly object?: ObjectRef;
  readonly is?: ListenState;
}

/** `watched: false`: nobody looks at the state, so the component does not render again for it. */
export function useListening(
  target: Target,
  actions: Actions,
  name: string | undefined,
  given: { readonly [K in keyof ListenOptions]: ListenOptions[K] | undefined },
  watched: boolean,
): ListenState {
  const system = useSystem(name);
  const problem = system.problem ?? target.problem;
  const options: ListenOptions = defined(given);
  if (DEV) correct(() => system.check(actions, options.callbacks));
  const [told, tell] = useState<Told>(() => ({ held: { actions, options } }));
  const { held } = told;
  // An equal object is the one of before. So it needs no key, which would be made for each listener and render.
  const former = held.object;
  const next = problem ? undefined : target.object;
  const object = former?.entity === next?.entity && former?.id === next?.id ? former : next;

  // Insertion effects: in the commit itself, not torn down by StrictMode or Suspense, silent on the server. So no
  // callback of a former render starts once the page shows the next one.
  useInsertionEffect(() => {
    if (held.system !== system || held.object !== object) {
      held.listening?.close(); // else what arrives before the effect below would refresh the former object's data
      held.listening = undefined;
    }
    held.system = system;
    held.object = object;
    held.actions = actions;
    held.options = options;
    const { listening } = held;
    const mistake =
      listening &&
      correct(() => {
        listening.setOptions(options);
        listening.setActions(actions);
      });
    if (mistake && held.mistake !== mistake.message) system.report(mistake);
    held.mistake = mistake?.message;
  });
  useInsertionEffect(() => () => held.listening?.close(), [held]);

  // biome-ignore lint/correctness/useExhaustiveDependencies: the message stands for the problem
  useEffect(() => {
    if (held.told) tell({ held });
    held.told = false;
    if (problem) return system.report(problem);
    if (!object) return;
    const mistake = correct(() => {
      held.listening = system.client().listen(object, held.actions, held.options);
    });
    const { listening } = held;
    if (mistake || !listening) return system.report(mistake);
    let last: unknown = held;
    const settled = (): void => {
      const { error } = listening;
      if (held.listening !== listening || last === error) return;
      last = error;
      held.told = true;
      tell({ held, system, object, is: error ? { ready: false, error } : READY });
    };
    if (watched) {
      listening.onChange(settled);
      // It may have become ready inside `listen`, before anybody could watch.
      listening.ready.then(settled, () => {});
    }
    return () => {
      held.listening = undefined;
      listening.close();
    };
  }, [system, object, problem?.message, watched]);

  if (problem) return { ready: false, error: problem };
  return (told.system === system && told.object === object && told.is) || WAITING;
}

/** The object in its one form; nothing for a falsy one. */
export function targetOf(object: ObjectRef | NoObject): Target {
  if (!object) return {};
  let ref: ObjectRef = object;
  const problem = correct(
    () => {
      ref = readObject(object);
    },
    DEV ? '; while it is not known yet, pass a falsy object: object={order && { entity, id: order.id }}' : '',
  );
  return problem ? { problem } : { object: ref };
}

/** Runs a check; what it throws is wrong configuration. */
function correct(check: () => void, hint = ''): ListenError | undefined {
  try {
    check();
    return undefined;
  } catch (error) {
    return misconfigured((error as Error).message + hint, error);
  }
}
