/** The status of the connection, and the client itself. */
import { useSyncExternalStore } from 'react';
import type { ListenClient, ListenStatus } from '../client/types.js';
import { useSystem } from './listen-provider.js';

/** On the server, and in the first render of a page that the server rendered. */
const INITIAL: ListenStatus = { state: 'initial', degraded: false };

/**
 * The status of a system's connection; the component renders again whenever it changes. Asking opens no connection.
 *
 * @param system the `name` of the provider that is meant. Default: the one without a name.
 */
export function useListenStatus(system?: string): ListenStatus {
  const { onStatus, status } = useSystem(system);
  return useSyncExternalStore(onStatus, status, () => INITIAL);
}

/**
 * The client of a system, for `fetch`, `pause`, `resume` and `reconnect`. Its `listen` is for code outside components.
 *
 * @param system the `name` of the provider that is meant. Default: the one without a name.
 * @throws ListenError `configuration` when there is no such provider, in production too.
 */
export function useListenClient(system?: string): ListenClient {
  const { onStatus, client } = useSystem(system);
  // Read as a store: a page that was hidden (Activity) and shown again has a new client without rendering again.
  return useSyncExternalStore(onStatus, client, client);
}
