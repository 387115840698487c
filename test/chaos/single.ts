/** One process on the memory or the file log, straight and behind nginx and HAProxy; Chromium with six tabs, and Firefox. */
import { join } from 'node:path';
import { application } from './application.js';
import { openBrowsers, type Place } from './browsers.js';
import { networkFaults } from './faults/network.js';
import { pageFaults } from './faults/pages.js';
import { serverFaults } from './faults/server.js';
import { type Fronts, openFronts } from './fronts.js';
import { pageAt, type Scene, type SceneOptions } from './scene.js';
import { createSecrets } from './secrets.js';

/** @param logNow the log of a server that is started now */
export async function singleProcess(options: SceneOptions, logNow: () => 'memory' | 'file'): Promise<Scene> {
  const { data, script, env, items, lasts } = options;
  const secrets = createSecrets();
  const settingsOf = (log: 'memory' | 'file') => ({
    NOTIFY_LISTEN_LOG: log === 'file' ? `file:${join(data, 'log')}` : 'memory:',
  });
  const log = () => ({ name: logNow(), settings: settingsOf(logNow()) });

  let fronts: Fronts | undefined;
  const initial = { ...env, ...log().settings, NOTIFY_LISTEN_SECRET: secrets.current() };
  const app = application(script, data, initial, (port) => fronts?.lead(port));
  await app.start();
  const ways = await openFronts(app.port());
  fronts = ways;

  const place = (front: string, user: string, ...some: string[]): Place => {
    const ids = [...some, ...items.once];
    return { name: `${user} by ${front}`, url: pageAt(ways.originOf(front), user, ids), ids };
  };
  // Ann's two tabs and Cleo's two share a connection each; Ben has another user's tab of the same origin.
  const places = [
    place('straight', 'ann', '1', '2', '8'),
    place('straight', 'ann', '3', '7'),
    place('straight', 'ben', '1', '8'),
    place('nginx', 'cleo', '1', '6', '7'),
    place('nginx', 'cleo', '2', '8'),
    place('haproxy', 'dan', '3', '5', '8'),
    place('nginx', 'eve', '1', '4', '7'),
  ];
  const browsers = await openBrowsers(places, true);

  return {
    pages: browsers.tabs,
    applications: [app],
    skipped: [...ways.skipped, ...browsers.skipped],
    faults: [...networkFaults(ways, lasts), ...serverFaults(app, log, secrets, lasts), ...pageFaults(browsers, lasts)],
    change: app.change,
    lastAct(chance) {
      const front = chance.pick(ways.all);
      front.near.set('both', { stall: 'swallow' });
      return `half-open, bytes lost without an end: ${front.name}`;
    },
    heal: ways.heal,
    state: async () => `${app.port()} ${JSON.stringify(await app.figures())}`,
    output: app.output,
    async close() {
      await Promise.allSettled([browsers.close(), ways.close(), app.kill()]);
    },
  };
}
