/** The client half of the memory adapter: pages and server in one process, for tests and for a server in a worker. */
import type { AdapterCapabilities, ClientAdapter } from '../contract.js';
import type { MemoryPort } from './port.js';

export type { MemoryLink, MemoryPort, MemoryReceiver } from './port.js';

const CAPABILITIES: AdapterCapabilities = { fansOut: 'node', replays: true };

/** Makes the adapter; used where the server's configuration names the provider `memory`. */
export function memory(port: MemoryPort): ClientAdapter {
  return {
    name: 'memory',
    capabilities: CAPABILITIES,
    open(interest, host) {
      host.via('memory');
      return port.connect(interest, {
        event: (event, id) => host.event(event, id),
        ended: (error) => host.down(error),
      });
    },
  };
}
