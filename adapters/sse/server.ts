/** The server half of the built-in SSE adapter: the default, and what every other adapter falls back to. */
import type { AdapterCapabilities, Logged, LogWindow, NodeAdapter, RevokeEntry } from '../contract.js';
import type { Position } from '../position.js';
import { createHub, EXPIRY_INTERVAL, type Hub, type HubOptions } from './hub.js';

export type { Hub } from './hub.js';
export { isGone, nodeSink } from './node-sink.js';
export { collectEvents } from './poll.js';
export { webSink } from './web-sink.js';

export interface SseServer extends NodeAdapter {
  readonly hub: Hub;
  /** `lasts`: for how many milliseconds streams are still served after the goodbye. Default: they end at once. */
  close(spreadMs: number, lasts?: number): Promise<void>;
  /** One heartbeat to every connection; without a position the node is degraded. */
  beat(position: Position | undefined): void;
  /** Acts on a revocation before the log has it. */
  revoke(entry: RevokeEntry): void;
}

const CAPABILITIES = { fansOut: 'node', replays: true } as const satisfies AdapterCapabilities;

export function createSseServer(options: HubOptions): SseServer {
  const hub = createHub(options);
  const expiry = setInterval(() => hub.expire(), EXPIRY_INTERVAL);
  expiry.unref();
  return {
    name: 'sse',
    capabilities: CAPABILITIES,
    hub,
    deliver: (logged: Logged) => hub.deliver(logged),
    resync: ({ top }: LogWindow) => hub.resync(null, top),
    beat: (position) => hub.beat(position),
    revoke: (entry) => hub.revoke(entry),
    async close(spreadMs, lasts) {
      await hub.close(spreadMs, lasts);
      clearInterval(expiry);
    },
  };
}
