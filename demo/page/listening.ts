/** The page's one client: it listens for the person whose desk this is. Nothing connects before the first listener. */
import { ably } from 'notify-listen/adapters/ably/client';
import { pusher } from 'notify-listen/adapters/pusher/client';
import { createListenClient, type ListenClient } from 'notify-listen/client';
import { base, loggedIn, me } from './person.js';
import { onTrace } from './trace-store.js';

function create(): ListenClient {
  return createListenClient({
    url: `${base}/notify-listen`,
    // The server says which one is used; the vendor's client is loaded then. SSE needs no entry.
    adapters: [pusher(), ably()],
    onTrace,
    // The login has ended: show the picker, and go on from where the page was once somebody is back.
    onUnauthenticated() {
      me.set(null);
      return loggedIn();
    },
  });
}

/** Survives hot reloads of this file: the connection stays up while the code around it changes. */
export const client: ListenClient = import.meta.hot?.data.client ?? create();
if (import.meta.hot) import.meta.hot.data.client = client;
