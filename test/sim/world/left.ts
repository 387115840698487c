/** Part (d) of the oracle: what nodes hold while they live, and what is left when everything is closed. */
import type { Page } from './page.js';
import type { Stage } from './simulate.js';

/** Entries of a compacted history: nine channels and a handful of users' own ones, with two actions of each object. */
const MOST_KEPT = 150;

/** What a node holds depends on what there is, not on what has happened. */
export function checkSizes({ nodes, clock, oracle }: Stage): void {
  for (const node of nodes) {
    if (node.owner.dead || !node.notifier || node.closing) continue;
    const { connections = 0, history = 0 } = clock.as(node.owner, () => node.notifier?.metrics()) ?? {};
    const there = node.connections.size + node.copies;
    if (connections > there) oracle.violate('d', `${node.owner.name} holds ${connections} connections of ${there}`);
    if (history > MOST_KEPT) oracle.violate('d', `${node.owner.name} keeps ${history} entries`);
  }
}

/** Closes everything, pages first, and looks whether something is left. @param everyPage those of closed tabs too */
export function closeAll(stage: Stage, everyPage: readonly Page[]): void {
  const { clock, nodes, pages, browsers, engine, provider, oracle } = stage;
  if (provider) provider.fault = 'works';
  for (const { owner } of pages) if (owner.frozen) clock.thaw(owner);
  for (const page of pages) if (page.alive) clock.after(page.owner, 0, () => page.close());
  clock.run(clock.now() + 1_000);
  for (const { owner, index, watchers, connections } of everyPage) {
    if (owner.dead) continue;
    if (watchers() > 0) oracle.violate('d', `tab ${index} still watches its page`);
    if (connections.size > 0) oracle.violate('d', `tab ${index} still has ${connections.size} connections`);
  }
  // What was asked for is given up by then.
  clock.run(clock.now() + 15_000);
  for (const { owner, index } of everyPage)
    if (!owner.dead && owner.pending > 0) oracle.violate('d', `tab ${index} still has ${owner.pending} timers`);
  const alive = nodes.filter(({ owner }) => !owner.dead);
  for (const node of alive) {
    const { waiting = 0 } = clock.as(node.owner, () => node.notifier?.metrics()) ?? {};
    if (waiting > 0) oracle.violate('d', `${node.owner.name} still has ${waiting} entries to append`);
    clock.after(node.owner, 0, () => void node.notifier?.close({ within: 0 }).then(() => node.log?.close()));
  }
  clock.run(clock.now() + 70_000);
  for (const { owner, notifier } of alive) {
    const { connections = 0 } = clock.as(owner, () => notifier?.metrics()) ?? {};
    if (connections > 0) oracle.violate('d', `${owner.name} still has ${connections} connections`);
    if (owner.pending > 0) oracle.violate('d', `${owner.name} still has ${owner.pending} timers`);
  }
  for (const { tabs } of browsers)
    if (tabs && tabs.size() > 0) oracle.violate('d', `a browser still has ${tabs.size()} locks and channels`);
  if (provider && provider.lines() > 0) oracle.violate('d', `the provider still has ${provider.lines()} connections`);
  if (engine.tails() > 0) oracle.violate('d', `the engine still has ${engine.tails()} tails`);
}
