/** Runs one history from its data, in one synchronous call: builds the world, lets everything happen, asks the oracle. */
import { createMemoryEngine, type MemoryEngine } from '../../../server/log/memory.js';
import { boundOf, endOf, mayResync } from '../history/faults.js';
import type { History } from '../history/types.js';
import { type Clock, createClock } from '../kernel/clock.js';
import { setClock } from '../kernel/globals.js';
import { createRandom } from '../kernel/random.js';
import { type Act, perform } from './act.js';
import { createApp } from './app.js';
import { createEngine, type Engine } from './engine.js';
import { checkSizes, closeAll } from './left.js';
import { memoryLogOf } from './memory.js';
import { createNetwork } from './network.js';
import { killNode, type Node, startNode } from './node.js';
import { createOracle, type Mechanism, Violation } from './oracle.js';
import { type Browser, createPage, type Page } from './page.js';
import { createProvider, type Provider } from './provider.js';
import { createBrowserTabs } from './tabs.js';

export interface Outcome {
  readonly violation: { readonly part: Violation['part']; readonly message: string } | undefined;
  readonly mechanisms: Readonly<Record<Mechanism, number>>;
  /** Stands for everything that ran. */
  readonly hash: number;
  readonly steps: number;
  /** When the faults ended, and how long after that all was fresh, in milliseconds. */
  readonly end: number;
  readonly fresh: number;
  readonly story: readonly string[];
}

/** How often it is looked whether all is fresh, in milliseconds. */
const LOOK = 1_000;
/** How long everything is watched on after that: a late second run would come within the window and the longest wait. */
const AFTER = 2_500;
/** A history without faults is watched for so long after its last action, in milliseconds. */
const CALM = 20_000;

export interface Stage {
  readonly clock: Clock;
  readonly history: History;
  readonly app: ReturnType<typeof createApp>;
  readonly engine: Engine;
  readonly provider: Provider | undefined;
  readonly nodes: Node[];
  readonly browsers: readonly Browser[];
  /** The newest page of each tab. */
  readonly pages: Page[];
  tell(text: string): void;
  /** Starts a node in the place of a dead one, with the secrets of now. */
  startNode(index: number): void;
  kill(node: Node, silently: boolean): void;
  /** A page ends without a word; its machine tells the servers, or does not. */
  discard(page: Page, silently: boolean): void;
  /** Loads a page in a tab, in the place of what is there. */
  load(tab: number): void;
  doubtful: number;
  secrets: readonly string[];
  readonly oracle: ReturnType<typeof createOracle>;
}

/** @param telling whether the story is wanted: each step as a line */
export function simulate(history: History, telling = false): Outcome {
  const { setup, seed } = history;
  const clock = createClock(seed, createRandom);
  setClock(clock);
  const story: string[] = [];
  const tell = (text: string): void => {
    if (telling) story.push(`${String(clock.now()).padStart(7)} ${text}`);
  };
  const outside = clock.owner('outside');
  const storage = clock.owner('engine');
  const server = clock.owner('application');
  const app = createApp(clock, setup.rights);
  const engine = createEngine(clock, storage, setup.retention);
  engine.store.taken = app.taken;
  engine.store.moved = app.moved;
  engine.store.dropped = app.dropped;
  let memory: MemoryEngine | undefined;
  const nodes: Node[] = [];
  const browsers: Browser[] = setup.users.map((user, index) => ({
    user,
    since: Number.NEGATIVE_INFINITY,
    wall: 0,
    mono: 0,
    tabs: setup.sharing
      ? createBrowserTabs(clock, clock.owner(`browser ${index}`), () => {
          oracle.mechanisms.handOver += 1;
        })
      : undefined,
  }));
  const pages: Page[] = [];
  const everyPage: Page[] = [];
  const everyNode: Node[] = [];
  const network = createNetwork(clock, nodes);
  network.capacity = setup.capacity;
  const provider = setup.provider ? createProvider(clock, clock.owner('provider')) : undefined;
  const oracle = createOracle(clock, app, setup, { resync: mayResync(history), calm: history.kind === 'calm' });
  network.asked = (client, route) => {
    if (telling) tell(`  < tab ${client.owner.name.slice(4)} asks ${route}`);
    oracle.asked(client);
  };
  network.watch = (connection, json) => {
    if (telling) tell(`  > tab ${connection.client.owner.name.slice(4)} ${connection.user}: ${json}`);
    oracle.heard(connection, json);
  };

  if (provider)
    provider.watch = (user, json) => {
      if (telling) tell(`  ~ ${user}: ${json}`);
      oracle.carried(user, json);
    };

  const stage: Stage = {
    clock,
    history,
    app,
    engine,
    provider,
    nodes,
    browsers,
    pages,
    tell,
    oracle,
    doubtful: 0,
    secrets: ['a secret of sixteen characters'],
    startNode(index) {
      const generation = everyNode.filter((node) => node.index === index).length;
      const node = startNode(index, `node ${index}.${generation}`, {
        clock,
        app,
        setup,
        secrets: stage.secrets,
        log(owner, link) {
          if (setup.log === 'shared') return engine.log(owner, link);
          if (setup.log === 'driven') return engine.drivenLog(owner, link, setup.driver);
          memory ??= createMemoryEngine({ retention: setup.retention });
          return memoryLogOf(clock, owner, memory, app.taken);
        },
        adapter: provider && ((owner) => provider.adapter(owner)),
        doubtful: () => stage.doubtful > 0,
        onError(error) {
          if (telling) tell(`  ${nodes[index]?.owner.name}: ${(error as Error).stack ?? error}`);
        },
      });
      nodes[index] = node;
      everyNode.push(node);
      node.owner.doomed = () => stage.kill(node, false);
    },
    kill(node, silently) {
      if (node.owner.dead) return;
      tell(`${node.owner.name} is dead`);
      for (const note of app.notes) if (note.accepted === undefined || note.accepted === false) markLost(node, note);
      killNode(node, clock, engine, silently);
      // The processes of the memory log are one.
      if (setup.log === 'memory') {
        memory = undefined;
        for (const other of nodes) if (other !== node) stage.kill(other, silently);
      }
    },
    discard(page, silently) {
      page.alive = false;
      provider?.cut(page.owner, false);
      clock.kill(page.owner);
      page.browser.tabs?.forget(page.owner);
      for (const connection of [...page.connections]) connection.lose('client', silently);
    },
    load(tab) {
      const former = pages[tab];
      // It loads still, or is frozen and could not be closed.
      if (former && !former.owner.dead && (former.alive || !former.client)) stage.discard(former, false);
      const plan = setup.tabs[tab];
      const browser = plan && browsers[plan.browser];
      if (!plan || !browser) return;
      const page = createPage(tab, plan, browser, clock.now(), {
        clock,
        network,
        app,
        server,
        adapters: (of) => (provider ? [provider.client(of)] : []),
        ran(row, refresh) {
          if (telling) {
            const { plan: of } = row.listener;
            tell(
              `  tab ${tab} runs ${of.entity}${of.id === undefined ? '' : `/${of.id}`} ${row.actions}: ${refresh.reason} ` +
                `${refresh.notification?.position ?? ''} merged ${refresh.merged}`,
            );
          }
          oracle.ran(row, refresh);
        },
        via(_page, via) {
          if (telling) tell(`  tab ${tab} is ${JSON.stringify(_page.client?.status())}`);
          if (via === 'poll') oracle.mechanisms.stepDown += 1;
          if (provider && via === 'sse') oracle.mechanisms.fallback += 1;
        },
      });
      pages[tab] = page;
      everyPage.push(page);
      open(page, plan.rendered, plan.loads);
    },
  };

  function markLost(node: Node, note: (typeof app.notes)[number]): void {
    if (note.position === undefined && owners.get(note.n) === node) note.lost = true;
  }
  /** Which node was told of which note. */
  const owners = new Map<number, Node>();

  /** The load of a page: its data, then its listeners. */
  function open(page: Page, rendered: boolean, loads: number): void {
    const listen = (position?: string): void => {
      const read = app.commit();
      for (const listener of page.listeners) for (const row of listener.rows) row.shown = read;
      clock.after(page.owner, loads, () => page.open(position));
    };
    const node = rendered ? nodes.find((each) => each.notifier && !each.owner.dead && !each.closing) : undefined;
    if (!node) {
      clock.after(page.owner, 0, () => listen());
      return;
    }
    clock.after(node.owner, 0, () => {
      const told = (position?: string): void => void clock.after(page.owner, 1, () => listen(position));
      if (!node.notifier) return told();
      node.notifier.position().then(told, () => told());
    });
  }

  const act: Act = { stage, owners };
  let failed: Violation | undefined;
  let fresh = -1;
  const end = endOf(history);
  try {
    for (let index = 0; index < setup.nodes; index++) stage.startNode(index);
    setup.tabs.forEach((plan, tab) => {
      clock.after(outside, plan.opens, () => stage.load(tab));
    });
    for (const action of history.actions) clock.after(outside, action.at, () => perform(act, action));
    clock.run(end);
    const last = end + (history.kind === 'calm' ? CALM : boundOf(history));
    let stale: string | undefined = '';
    for (let now = end; now <= last; now += LOOK) {
      clock.run(now);
      stale = oracle.stale(pages);
      if (stale === undefined && history.kind !== 'calm') {
        fresh = now - end;
        clock.run(now + AFTER);
        break;
      }
    }
    if (stale !== undefined) oracle.violate('a', stale);
    oracle.checkCauses(pages);
    checkSizes(stage);
    if (!oracle.violation) closeAll(stage, everyPage);
    failed = oracle.violation;
  } catch (error) {
    failed = error instanceof Violation ? error : new Violation('crash', String((error as Error).stack ?? error));
  } finally {
    setClock(undefined);
  }

  return {
    violation: failed && { part: failed.part, message: failed.message },
    mechanisms: oracle.mechanisms,
    hash: clock.hash(),
    steps: clock.steps(),
    end,
    fresh,
    story,
  };
}
