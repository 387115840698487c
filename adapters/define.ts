/** One declaration of entities and their actions, shared by server and page, so that an unknown action does not compile. */
import type { ObjectRef } from './contract.js';

declare const ACTIONS: unique symbol;

/** An object whose actions are known to the compiler. At run time it is the plain object. */
export interface TypedObject<Action extends string = string> extends ObjectRef {
  /** Never there; carries the type. */
  readonly [ACTIONS]?: Action;
}

/** The actions of an object's type; `string` for a plain object, and for the objects of an empty array. */
export type ActionOf<O extends ObjectRef> = [O] extends [never]
  ? string
  : O extends { readonly [ACTIONS]?: infer Action }
    ? Extract<Action, string>
    : string;

/** Entities by name, each with the names of its actions. */
export type Declaration = { readonly [entity: string]: readonly string[] };

/** Makes the objects of one entity. */
export interface EntityDefinition<Entity extends string, Action extends string> {
  /** One object. */
  (id: string | number): TypedObject<Action> & { readonly entity: Entity; readonly id: string | number };
  /** The entity as a whole: a list. */
  readonly all: TypedObject<Action> & { readonly entity: Entity };
  readonly actions: readonly Action[];
}

export type Definition<D extends Declaration> = { readonly [E in keyof D & string]: EntityDefinition<E, D[E][number]> };

/**
 * Declares entities and their actions.
 *
 * ```ts
 * const { Order } = defineEntities({ Order: ['updated', 'shipped'] });
 * client.listen(Order(42), { shipped: reload });
 * await notifier.notify('shipped', Order(42));
 * ```
 */
export function defineEntities<const D extends Declaration>(declaration: D): Definition<D> {
  const entries = Object.entries(declaration).map(([entity, actions]) => {
    const make = (id: string | number) => ({ entity, id });
    return [entity, Object.assign(make, { all: { entity }, actions })] as const;
  });
  return Object.fromEntries(entries) as unknown as Definition<D>;
}
