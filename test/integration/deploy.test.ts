/**
 * A rolling deploy of three nodes on Redis under connected pages: nothing is lost, there is no wave, and access is not asked
 * for again. Nodes and pages are processes of their own; a balancer asks `/health`.
 * `DEPLOY_PAGES=2000 DEPLOY_WITHIN=20000 npx vitest run --project integration test/integration/deploy.test.ts` prints the histogram
 * of docs/deploying.md.
 */
import { createPublisher } from 'notify-listen/server';
import { expect, onTestFinished, test, vi } from 'vitest';
import { type CrowdQuestion, type CrowdReport, OBJECTS_OF_A_PAGE } from '../deploy/crowd.js';
import type { NodeFigures } from '../deploy/node.js';
import { type Balancer, startBalancer } from '../kit/balancer.js';
import { missingRedis, startRedis } from '../kit/engines/redis.js';
import { type OwnProcess, scriptOf, startProcess } from '../kit/own-process.js';
import { freePort } from '../kit/proxies.js';
import { SECRET } from '../kit/server.js';

const PAGES = Number(process.env.DEPLOY_PAGES ?? 150);
const WITHIN = Number(process.env.DEPLOY_WITHIN ?? 2_000);
/** Real time is asserted where somebody asks for a histogram, on a machine that has nothing else to do. */
const IS_MEASURED = process.env.DEPLOY_PAGES !== undefined;
const NODES = 3;
/** Each is listened to by 60 pages when there are many. */
const OBJECTS = Math.max(20, Math.round((PAGES * OBJECTS_OF_A_PAGE) / 60));
/** A process has a thousand of them at most. */
const CROWDS = Math.ceil(PAGES / 1_000);
/** Between two looks of the balancer at `/health`, and between two notifications, in milliseconds. */
const LOOK = 250;
const NOTIFY_EVERY = 80;
const PATIENCE = { timeout: 60_000, interval: 50 };

interface Node {
  readonly process: OwnProcess;
  readonly port: number;
}

/** What a balancer does: new connections go to the nodes that say that they are ready. */
function watchHealth(balancer: Balancer, ports: readonly number[]): void {
  const isReady = (port: number): Promise<boolean> =>
    fetch(`http://127.0.0.1:${port}/notify-listen/health`, { signal: AbortSignal.timeout(2_000) }).then(
      ({ ok }) => ok,
      () => false,
    );
  const timer = setInterval(async () => {
    const ready = await Promise.all(ports.map(isReady));
    balancer.targets = ports.filter((_, n) => ready[n]);
  }, LOOK);
  onTestFinished(() => clearInterval(timer));
}

/** How many in each second, from `began` on. */
function histogram(moments: readonly number[], began: number): number[] {
  const bins: number[] = [];
  for (const moment of moments) {
    const bin = Math.floor((moment - began) / 1_000);
    while (bins.length <= bin) bins.push(0);
    bins[bin] = (bins[bin] ?? 0) + 1;
  }
  return bins;
}

const reason = missingRedis();

test.skipIf(reason)(
  reason || 'three nodes, one after the other, under connected pages: nothing lost, no wave, no access asked again',
  async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.remove());
    const env = {
      NOTIFY_LISTEN_SECRET: SECRET,
      NOTIFY_LISTEN_NAMESPACE: 'deploy',
      NOTIFY_LISTEN_LOG: redis.url,
      DEPLOY_WITHIN: String(WITHIN),
    };
    const [nodeScript, crowdScript] = await Promise.all([
      scriptOf('test/deploy/node.ts'),
      scriptOf('test/deploy/crowd.ts'),
    ]);

    const begin = (port: number): Node => {
      const node = { process: startProcess(nodeScript, [], { ...env, PORT: String(port) }), port };
      onTestFinished(() => node.process.kill());
      return node;
    };
    const ports = await Promise.all(Array.from({ length: NODES }, () => freePort()));
    const nodes = ports.map(begin);
    const balancer = await startBalancer();
    watchHealth(balancer, ports);
    const allReady = (): Promise<void> => vi.waitFor(() => expect(balancer.targets).toHaveLength(NODES), PATIENCE);
    await allReady();
    const figures = (): Promise<NodeFigures[]> =>
      Promise.all(nodes.map(({ process: node }) => node.ask({}) as Promise<NodeFigures>));
    const streams = async (): Promise<number> =>
      (await figures()).reduce((sum, { connections }) => sum + connections, 0);

    const crowds = Array.from({ length: CROWDS }, () => startProcess(crowdScript));
    for (const crowd of crowds) onTestFinished(() => crowd.kill());
    const askAll = <T>(question: (n: number) => CrowdQuestion): Promise<T[]> =>
      Promise.all(crowds.map((crowd, n) => crowd.ask(question(n)) as Promise<T>));
    const share = Math.ceil(PAGES / CROWDS);
    await askAll((n) => {
      const from = n * share;
      return { open: { url: balancer.url, from, count: Math.min(share, PAGES - from), objects: OBJECTS } };
    });
    await vi.waitFor(async () => expect(await streams()).toBe(PAGES), PATIENCE);
    const channels = PAGES * OBJECTS_OF_A_PAGE;
    const askedAtFirst = (await figures()).map(({ asked }) => asked);
    expect(askedAtFirst.reduce((sum, n) => sum + n, 0)).toBeGreaterThanOrEqual(channels);

    const publisher = createPublisher({ env, logger: () => {} });
    onTestFinished(() => publisher.close());
    const newest: Record<string, string> = {};
    let over = false;
    let sent = 0;
    const load = (async () => {
      while (!over) {
        const id = String(sent++ % OBJECTS);
        const { positions } = await publisher.notify('changed', { entity: 'Order', id });
        newest[id] = positions?.[0] as string;
        await new Promise((resolve) => setTimeout(resolve, NOTIFY_EVERY));
      }
    })();

    const reports: CrowdReport[] = [];
    /** What the processes that ended, and those that are there, have been asked since all pages were open. */
    let askedAgain = 0;
    for (const [n, { process: old, port }] of [...nodes.entries()]) {
      const moving = ((await old.ask({})) as NodeFigures).connections;
      const began = Date.now();
      old.child.kill('SIGTERM');
      expect(await old.exit).toBe(0);
      const took = Date.now() - began;
      const asked = Number(/^asked (\d+)$/m.exec(old.lines().join('\n'))?.[1]);
      askedAgain += asked - (askedAtFirst[n] as number);
      nodes[n] = begin(port);
      await allReady();
      await vi.waitFor(async () => expect(await streams()).toBe(PAGES), PATIENCE);
      const told = await askAll<CrowdReport>(() => ({ report: true }));
      reports.push(...told);
      const openings = told.flatMap((report) => report.openings);
      const bins = histogram(openings, began);
      const mean = openings.length / (WITHIN / 1_000);
      console.log(
        `node ${n + 1}: ${moving} streams moved in ${(took / 1_000).toFixed(1)} s, ${openings.length} reconnects, mean ${mean.toFixed(1)} and most ${Math.max(...bins)} in a second: ${bins.join(' ')}`,
      );
      expect(moving).toBeGreaterThan(PAGES / 10);
      expect(openings.length).toBeGreaterThanOrEqual(moving);
      if (IS_MEASURED) {
        expect(Math.max(...bins)).toBeLessThanOrEqual(3 * mean);
        expect(took).toBeLessThan(WITHIN + 3_000);
      }
    }
    for (const { asked } of await figures()) askedAgain += asked;
    over = true;
    await load;

    await vi.waitFor(
      async () => expect(await askAll(() => ({ behind: newest }))).toEqual(crowds.map(() => 0)),
      PATIENCE,
    );
    reports.push(...(await askAll<CrowdReport>(() => ({ report: true }))));
    const all = (pick: (report: CrowdReport) => Readonly<Record<string, number>>): Record<string, number> => {
      const sum: Record<string, number> = {};
      for (const [what, count] of reports.flatMap((report) => Object.entries(pick(report))))
        sum[what] = (sum[what] ?? 0) + count;
      return sum;
    };
    const [reasons, states] = [all((report) => report.reasons), all((report) => report.states)];
    console.log(
      `${sent} notifications; access asked again for ${askedAgain} of ${channels} channels; refreshes ${JSON.stringify(reasons)}; states ${JSON.stringify(states)}`,
    );
    expect(Object.keys(newest)).toHaveLength(OBJECTS);
    expect(Object.keys(reasons)).toEqual(['notification']);
    expect(askedAgain).toBeLessThanOrEqual(channels / 100);
    if (IS_MEASURED) expect(states).toEqual({});
  },
  240_000 + NODES * 4 * WITHIN,
);
