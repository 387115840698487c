/** The data view of the page: the object that the widgets inside it listen to. */
import { createContext, createElement, type ReactElement, type ReactNode, useContext } from 'react';
import type { ObjectRef } from '../../adapters/contract.js';

/** What stands for an object that is not known yet: the widget listens to nothing. */
export type NoObject = null | undefined | false | 0 | '';

/** `undefined`: there is no `<ListenObject>` around; `null`: there is one, without an object. */
const Context = /* @__PURE__ */ createContext<ObjectRef | null | undefined>(undefined);

export interface ListenObjectProps {
  /** The object; a falsy one (not loaded yet) makes the widgets inside listen to nothing. */
  readonly value: ObjectRef | NoObject;
  readonly children?: ReactNode;
}

/** Gives its object to every `<Listen>` inside it that has none of its own. */
export function ListenObject({ value, children }: ListenObjectProps): ReactElement {
  return createElement(Context.Provider, { value: value || null }, children);
}

/** The object of the nearest `<ListenObject>`. */
export function useListenObject(): ObjectRef | null | undefined {
  return useContext(Context);
}
