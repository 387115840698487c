/** Pages without a browser: shipped clients in this process, which cost a hundredth of a tab. */
import { setMaxListeners } from 'node:events';
import type { Page } from './browsers.js';
import { openScreen, type Screen } from './screen.js';

// A client asks for thirty objects at once here, under one signal; Node warns of more than ten.
setMaxListeners(0);

export interface ClientPlace {
  readonly name: string;
  readonly origin: string;
  readonly user: string;
  readonly ids: readonly string[];
}

export interface Clients {
  readonly pages: readonly Page[];
  close(): void;
}

export function openClients(places: readonly ClientPlace[]): Clients {
  const screens = new Map<Page, Screen>();
  const pages = places.map(({ name, origin, user, ids }): Page => {
    const open = (): Screen => openScreen({ origin, user, ids, tabs: false });
    const it: Page = {
      name,
      ids,
      report: async () => screens.get(it)?.report(),
      story: async () => screens.get(it)?.told() ?? [],
      async reopen() {
        screens.get(it)?.close();
        screens.set(it, open());
      },
      crashed: () => false,
    };
    screens.set(it, open());
    return it;
  });
  return {
    pages,
    close() {
      for (const screen of screens.values()) screen.close();
    },
  };
}
