/** Whose desk this page is, and whether that person is logged in. */
import type { Person } from '../server/people.js';
import { createStore, type Store } from './store.js';

/** The person's id, from the path. */
export const id: string = /^\/as\/([\w-]+)/.exec(window.location.pathname)?.[1] ?? '';
/** Everything of this person lives below here: pages, API and streams, and the cookie is sent nowhere else. */
export const base: string = `/as/${id}`;

/** `undefined`: not known yet. `null`: nobody is logged in. */
export const me: Store<Person | null | undefined> = createStore<Person | null | undefined>(undefined);

/** Resolves as soon as somebody is logged in. */
export function loggedIn(): Promise<void> {
  return new Promise((resolve) => {
    const done = me.subscribe(() => {
      if (!me.get()) return;
      done();
      resolve();
    });
  });
}
