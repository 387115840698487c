/** The widget: renders nothing of its own, and refreshes the page when its object has changed. */
import type { ReactNode } from 'react';
import type { ObjectRef } from '../../adapters/contract.js';
import type { ActionOf } from '../../adapters/define.js';
import { DEV } from '../client/dev.js';
import type { Actions } from '../client/types.js';
import { type NoObject, useListenObject } from './listen-object.js';
import { misconfigured } from './misconfigured.js';
import { type ListenState, type Target, targetOf, type UseListenOptions, useListening } from './use-listen.js';

export interface ListenProps<O extends ObjectRef = ObjectRef> extends UseListenOptions {
  /** What to listen to; a falsy object (not loaded yet): nothing. Left out: that of the nearest `<ListenObject>`. */
  readonly object?: O | NoObject;
  /** The action list. Of an object whose actions are declared, an unknown one does not compile. */
  readonly actions: Actions<ActionOf<O>>;
  /** Rendered as they are; a function is given the state of the listener. Default: nothing. */
  readonly children?: ReactNode | ((state: ListenState) => ReactNode);
}

/**
 * Listens to an object for as long as it is mounted: `useListen` as an element.
 *
 * @throws ListenError `configuration`, at render and only in development, with the fix in its message.
 */
export function Listen<O extends ObjectRef = ObjectRef>(props: ListenProps<O>): ReactNode {
  const { object, actions, children, system, ...options } = props;
  const around = useListenObject();
  // A key `object` that holds nothing is an object that is not known yet, and never means the one around.
  const target = 'object' in props ? targetOf(object) : around === undefined ? noObject() : targetOf(around);
  const watched = typeof children === 'function';
  const state = useListening(target, actions as Actions, system, options, watched);
  return watched ? children(state) : children;
}

function noObject(): Target {
  const help =
    '<Listen> has no object; give it one (object={{ entity, id }}) or put it inside <ListenObject value={…}>';
  return { problem: misconfigured(DEV ? help : 'no object') };
}
