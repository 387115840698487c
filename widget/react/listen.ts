/** The widget: renders nothing of its own, and refreshes the page when its object has changed. */
import { createElement, type ReactNode, useRef } from 'react';
import type { ObjectRef } from '../../adapters/contract.js';
import type { ActionOf } from '../../adapters/define.js';
import type { ListenError } from '../../adapters/errors.js';
import { DEV } from '../client/dev.js';
import type { Actions } from '../client/types.js';
import { type NoObject, useListenObject } from './listen-object.js';
import { misconfigured } from './misconfigured.js';
import { type Held, type ListenState, type UseListenOptions, useListening, useListenState } from './use-listen.js';

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
  const { object, children } = props;
  const actions = props.actions as Actions;
  const around = useListenObject();
  // A key `object` that holds nothing is an object that is not known yet, and never means the one around.
  const own = 'object' in props;
  const target = own ? object : around;
  const problem = own || around !== undefined ? undefined : noObject();
  const { current } = useRef<Held>({});
  const watched = typeof children === 'function';
  // Most elements show no state: then they need no state, which React makes more of than of any other hook.
  useListening(current, !watched && target, actions, props, watched ? undefined : problem);
  return watched ? createElement(Watched, { target, actions, options: props, problem, children }) : children;
}

interface WatchedProps {
  readonly target: ObjectRef | NoObject;
  readonly actions: Actions;
  readonly options: UseListenOptions;
  readonly problem: ListenError | undefined;
  readonly children: (state: ListenState) => ReactNode;
}

function Watched({ target, actions, options, problem, children }: WatchedProps): ReactNode {
  return children(useListenState(target, actions, options, problem));
}

function noObject(): ListenError {
  return misconfigured(
    DEV
      ? '<Listen> has no object; give it one (object={{ entity, id }}) or put it inside <ListenObject value={…}>'
      : 'no object',
  );
}
