/** The ways from a page to the application: straight, through nginx, through HAProxy; a fault proxy on each part. */
import { type FaultProxy, faultProxy } from '../kit/fault-proxy.js';
import { missing, type RunningProxy, startHaproxy, startNginx } from '../kit/proxies.js';

export interface Front {
  readonly name: string;
  /** What pages ask. */
  readonly origin: string;
  /** Between the pages and the proxy, or the application. */
  readonly near: FaultProxy;
  /** Between the proxy and the application. */
  readonly far?: FaultProxy;
  close(): Promise<void>;
}

export interface Fronts {
  readonly all: readonly Front[];
  /** What is not there, a sentence for each. */
  readonly skipped: readonly string[];
  /** What pages ask on the way of this name; straight, where that is not there. */
  originOf(name: string): string;
  /** The application is somewhere else now. */
  lead(port: number): void;
  heal(): Promise<void>;
  close(): Promise<void>;
}

/** Proxies with time-outs below the heartbeat: they cut by themselves, all the time. */
const NGINX = 'proxy_read_timeout 10s;';
const HAPROXY = '10s';

export async function openFronts(port: number): Promise<Fronts> {
  const skipped: string[] = [];
  const all: Front[] = [];

  const straight = await faultProxy({ target: port });
  all.push({ name: 'straight', origin: straight.url, near: straight, close: straight.close });

  async function behind(name: 'nginx' | 'haproxy', start: (upstream: number) => Promise<RunningProxy>): Promise<void> {
    const reason = missing(name);
    if (reason) return void skipped.push(`${name}: ${reason}`);
    const far = await faultProxy({ target: port });
    const proxy = await start(far.port);
    const near = await faultProxy({ target: proxy.port });
    all.push({
      name,
      origin: near.url,
      near,
      far,
      async close() {
        await Promise.all([near.close(), proxy.stop(), far.close()]);
      },
    });
  }
  await behind('nginx', (upstream) => startNginx({ upstream, location: NGINX }));
  await behind('haproxy', (upstream) => startHaproxy({ upstream, timeout: HAPROXY }));

  return {
    all,
    skipped,
    originOf: (name) => (all.find((front) => front.name === name) ?? all[0])?.origin ?? '',
    lead(next) {
      for (const { near, far } of all) (far ?? near).target(next);
    },
    async heal() {
      await Promise.all(all.flatMap(({ near, far }) => [near.heal(), far?.heal()]));
    },
    async close() {
      await Promise.all(all.map((front) => front.close()));
    },
  };
}
