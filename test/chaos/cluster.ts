/**
 * Three nodes on one engine behind a balancer that sends each connection to the next of them, straight and behind nginx and
 * HAProxy; a fault proxy between each node and the engine. Twenty shipped clients in this process, and three tabs.
 */
import { openBalancer } from '../kit/balancer.js';
import { faultProxy } from '../kit/fault-proxy.js';
import { application } from './application.js';
import { openBrowsers, type Place } from './browsers.js';
import { openClients } from './clients.js';
import { CHAOS_ENGINES, type EngineName, NAMESPACE } from './engine.js';
import { engineFaults, type Node, nodeFaults } from './faults/cluster.js';
import { networkFaults } from './faults/network.js';
import { clientFaults, pageFaults } from './faults/pages.js';
import { openFronts } from './fronts.js';
import { pageAt, type Scene, type SceneOptions } from './scene.js';
import { createSecrets } from './secrets.js';

const NODES = 3;
const CLIENTS = 20;

export async function cluster(options: SceneOptions, name: EngineName): Promise<Scene> {
  const { data, script, env, items, lasts, chance } = options;
  const secrets = createSecrets();
  const dice = chance.fork();
  const nodes: Node[] = [];
  const engine = await CHAOS_ENGINES[name].start(chance, (port) => {
    for (const { way } of nodes) way.target(port);
  });
  const balancer = await openBalancer();
  // It knows no more than which processes there are: one that stands still gets its share.
  const lead = (): void => {
    balancer.targets = nodes.map(({ application: node }) => node.port()).filter((port) => port > 0);
  };
  for (let n = 1; n <= NODES; n += 1) {
    const way = await faultProxy({ target: engine.port() });
    const settings = {
      ...env,
      NOTIFY_LISTEN_LOG: engine.url(way.port),
      NOTIFY_LISTEN_NAMESPACE: NAMESPACE,
      NOTIFY_LISTEN_SECRET: secrets.current(),
      CHAOS_CLUSTER: 'true',
    };
    nodes.push({ name: `node ${n}`, application: application(script, data, settings, lead), way });
  }
  const applications = nodes.map(({ application: node }) => node);
  await Promise.all(applications.map((node) => node.start()));
  const fronts = await openFronts(balancer.port);

  // Each has some of the busy items, and all of the others.
  const itemsOf = (n: number): string[] =>
    [0, 2, 5].map((step) => items.busy[(n + step) % items.busy.length] as string);
  const clients = openClients(
    Array.from({ length: CLIENTS }, (_, n) => {
      const { name: front, origin } = fronts.all[n % fronts.all.length] as (typeof fronts.all)[number];
      const user = `user${n}`;
      return { name: `${user} by ${front}`, origin, user, ids: [...itemsOf(n), ...items.once] };
    }),
  );
  const place = (front: string, user: string, n: number): Place => {
    const ids = [...itemsOf(n), ...items.once];
    return { name: `${user}'s tab by ${front}`, url: pageAt(fronts.originOf(front), user, ids), ids };
  };
  // Ann's two tabs share a connection.
  const places = [place('straight', 'ann', 1), place('straight', 'ann', 2), place('nginx', 'ben', 3)];
  const browsers = await openBrowsers(places, false);
  console.log(`${name}: ${engine.what}`);

  return {
    pages: [...browsers.tabs, ...clients.pages],
    applications,
    skipped: [...fronts.skipped, ...browsers.skipped],
    faults: [
      ...networkFaults(fronts, lasts),
      ...nodeFaults(nodes, secrets, lasts),
      ...engineFaults(engine, nodes, lasts),
      ...pageFaults(browsers, lasts),
      ...clientFaults(clients.pages),
    ],
    async change(id, value) {
      const up = applications.filter((node) => node.up());
      return up.length > 0 && dice.pick(up).change(id, value);
    },
    lastAct(own) {
      const front = own.pick(fronts.all);
      const node = own.pick(nodes);
      front.near.set('both', { stall: 'swallow' });
      node.way.set('both', { stall: 'swallow' });
      return `half-open, bytes lost without an end: ${front.name}, and ${node.name}'s connections to the engine`;
    },
    async heal() {
      await Promise.all([fronts.heal(), ...nodes.map(({ way }) => way.heal())]);
    },
    async state() {
      const lines = nodes.map(async ({ name: whose, application: node, way }) => {
        const figures = JSON.stringify(await node.figures());
        return `${whose} on ${node.port()}, ${node.up() ? 'up' : 'down'}: ${figures}; its way: ${JSON.stringify(way.counts())}`;
      });
      return [`engine on ${engine.port()}`, ...(await Promise.all(lines))].join('\n');
    },
    output: () =>
      nodes.map(({ name: whose, application: node }) => `${whose}:\n${node.output().slice(-4_000)}`).join('\n'),
    async close() {
      clients.close();
      await Promise.allSettled([browsers.close(), fronts.close(), ...applications.map((node) => node.kill())]);
      balancer.close();
      await Promise.allSettled([...nodes.map(({ way }) => way.close()), engine.close()]);
    },
  };
}
