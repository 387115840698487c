/** What one process of the desk tells about itself: `GET /api/processes`. */
import type { Metrics, Notifier } from 'notify-listen/server';

export interface ProcessFigures extends Pick<Metrics, 'connections' | 'channels' | 'delivered' | 'nodes' | 'degraded'> {
  readonly pid: number;
}

export function figuresOf(notifier: Notifier): ProcessFigures {
  const { connections, channels, delivered, nodes, degraded } = notifier.metrics();
  return { pid: process.pid, connections, channels, delivered, nodes, degraded };
}
