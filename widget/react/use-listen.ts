/** The hook: one listener for as long as the component is mounted and its object stays the same. */
import { useEffect, useInsertionEffect, useState } from 'react';
import type { ObjectRef } from '../../adapters/contract.js';
import type { ActionOf } from '../../adapters/define.js';
import type { ListenError } from '../../adapters/errors.js';
import { DEV } from '../client/dev.js';
import { readObject } from '../client/object.js';
import type { Actions, Listening, ListenOptions } from '../client/types.js';
import type { NoObject } from './listen-object.js';
import { useSystem } from './listen-provider.js';
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
const HINT = DEV ? '; while it is not known yet, pass a falsy object: object={order && { entity, id: order.id }}' : '';

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
  options: UseListenOptions = {},
): ListenState {
  return useListenState(object, actions as Actions, options);
}

/** @param problem why there is no object */
export function useListenState(
  object: ObjectRef | NoObject,
  actions: Actions,
  options: UseListenOptions,
  problem?: ListenError,
): ListenState {
  // By index: an array pattern asks for an iterator.
  const { 0: told, 1: tell } = useState(nothingTold);
  const { held, about, is } = told;
  const said = useListening(held, object, actions, options, problem, tell);
  if (said.problem) return { ready: false, error: said.problem };
  return (is && isSame(about, said) && is) || WAITING;
}

/** What one render says. */
interface Said {
  readonly system: System;
  readonly object: ReturnType<typeof readObject> | undefined;
  readonly actions: Actions;
  readonly options: ListenOptions;
  /** Why nothing can be listened to. */
  readonly problem: ListenError | undefined;
}

/** What lives as long as the component. */
export interface Held {
  /** What the newest commit said. */
  said?: Said;
  listening?: Listening | undefined;
  /** What was wrong with the actions of the last render, so that rendering again does not report it again. */
  mistake?: string | undefined;
  /** What could not be listened to, and why. */
  failed?: string | undefined;
  /** The actions with which it could after that. */
  mended?: Actions | undefined;
  /** A state was told since the listener was made. */
  told?: boolean;
}

/** What is told of the listener; nothing yet without `is`. One state, for a hook less in each component. */
interface Told {
  readonly held: Held;
  readonly about?: Said;
  readonly is?: ListenState;
}

const nothingTold = (): Told => {
  // Not within the other: V8 leaves no room for fields in an empty literal that is nested.
  const held: Held = {};
  return { held };
};

/**
 * Listens for as long as the component is mounted. What it costs beside an empty effect is mostly what React makes of its
 * hooks, so they are few.
 *
 * @param given the options; what else it holds is not looked at, so that no copy is made
 * @param problem why there is no object
 * @param tell is given the state of the listener whenever it changed. Default: nobody is
 */
export function useListening(
  held: Held,
  object: ObjectRef | NoObject,
  actions: Actions,
  given: UseListenOptions,
  problem?: ListenError,
  tell?: Tell,
): Said {
  const system = useSystem(given.system);
  // As it is in this render: objects are made in each, and some are changed in place.
  let ref = undefined as ReturnType<typeof readObject> | undefined;
  const read = (): void => {
    if (object) ref = readObject(object);
  };
  const trouble = problem ?? (object ? system.problem : undefined) ?? correct(read, HINT);
  const said: Said = {
    system,
    problem: trouble,
    object: ref,
    actions,
    // To the client, what is `undefined` is not there.
    options: given as ListenOptions,
  };
  if (DEV) correct(() => system.check(actions, said.options.callbacks));

  // Insertion effects: in the commit itself, not torn down by StrictMode or Suspense, silent on the server. So no
  // callback of a former render starts once the page shows the next one.
  useInsertionEffect(() => {
    const { listening } = held;
    const stays = isSame(held.said, said);
    // Else what arrives before the effect below would refresh the former object's data.
    if (!stays) listening?.close();
    const mistake = correct(() => {
      if (!stays || !listening) return;
      listening.setOptions(said.options);
      listening.setActions(actions);
    });
    held.said = said;
    if (mistake && held.mistake !== mistake.message) system.report(mistake);
    held.mistake = mistake?.message;
  });
  const leave = (): void => {
    held.listening?.close();
    held.listening = undefined;
  };
  // biome-ignore lint/correctness/useExhaustiveDependencies: what leaves is held, which stays
  useInsertionEffect(() => leave, []);

  // biome-ignore lint/correctness/useExhaustiveDependencies: entity and id stand for the object, the message for the problem
  useEffect(() => {
    let listening = undefined as Listening | undefined;
    const mistake =
      trouble ??
      correct(() => {
        // The newest functions: StrictMode runs effects again.
        const { actions, options } = held.said as Said;
        listening = ref && system.client().listen(ref, actions, options);
      });
    const failed = mistake && JSON.stringify([ref, mistake.message]);
    // Told and shown already. To show it again would render, with new actions, for ever.
    if (failed && failed === held.failed) return;
    if (held.told) tell?.({ held });
    held.told = false;
    if (!failed && held.failed) held.mended = actions;
    held.failed = failed;
    if (mistake !== trouble) show(held, said, tell, mistake);
    if (mistake) return system.report(mistake);
    held.listening = listening;
    if (listening && tell) watch(held, listening, said, tell);
    return leave;
    // What could not be listened to is tried again with the next actions, until some are right.
  }, [system, ref?.entity, ref?.id, trouble?.message, held.failed ? actions : held.mended]);

  return said;
}

type Tell = ((told: Told) => void) | undefined;

function watch(held: Held, listening: Listening, said: Said, tell: Tell): void {
  let last: unknown = held;
  listening.onChange(() => {
    const { error } = listening;
    if (held.listening !== listening || last === error) return;
    last = error;
    show(held, said, tell, error);
  });
}

function show(held: Held, about: Said, tell: Tell, error: ListenError | undefined): void {
  held.told = true;
  tell?.({ held, about, is: error ? { ready: false, error } : READY });
}

/** Whether both mean one listener. */
function isSame(one: Said | undefined, other: Said): boolean {
  const { system, object } = other;
  return one?.system === system && one.object?.entity === object?.entity && one.object?.id === object?.id;
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
