/** A node: the shipped notifier and its routes in a process that can be killed at any moment. */
import type { Log } from '../../../adapters/contract.js';
import type { ProviderAdapter } from '../../../adapters/provider.js';
import { createNotifier, handlerOf } from '../../../server/notifier.js';
import type { EntityAccess, Notifier } from '../../../server/types.js';
import type { Setup } from '../history/types.js';
import type { Clock, Owner } from '../kernel/clock.js';
import { type App, channelOfPlan } from './app.js';
import type { Engine, EngineLink } from './engine.js';
import type { Connection, Cookie, Upstream } from './network.js';

export interface Node extends Upstream {
  readonly index: number;
  readonly owner: Owner;
  readonly link: EngineLink;
  readonly connections: Set<Connection>;
  notifier: Notifier | undefined;
  /** The application's own, which it closes after the notifier. */
  log: Log | undefined;
  /** It has said goodbye. */
  closing: boolean;
}

export interface NodeOptions {
  readonly clock: Clock;
  readonly app: App;
  readonly setup: Setup;
  readonly secrets: readonly string[];
  readonly log: (owner: Owner, link: EngineLink) => Log;
  readonly adapter: ((owner: Owner) => ProviderAdapter) | undefined;
  /** Access questions are not answered, or by an error. */
  readonly doubtful: () => boolean;
  /** Told of faults. */
  readonly onError: (error: unknown) => void;
}

export function startNode(index: number, name: string, options: NodeOptions): Node {
  const { clock, app, setup, secrets, log, adapter, doubtful, onError } = options;
  const owner = clock.owner(name);
  const link: EngineLink = { latency: owner.random.int(1, 8), way: 'up' };
  const node: Node = {
    index,
    owner,
    link,
    connections: new Set(),
    copies: 0,
    listed: false,
    handle: undefined,
    notifier: undefined,
    log: undefined,
    closing: false,
  };

  /** An answer of the application about a right, at once or later. */
  function answer(right: () => boolean): boolean | Promise<boolean> {
    if (doubtful()) throw new Error('the database does not answer');
    if (setup.access === 0) return right();
    const known = right();
    return new Promise((resolve) => clock.after(owner, owner.random.int(0, setup.access), () => resolve(known)));
  }

  const rule = (entity: string): EntityAccess<string> => ({
    one: (user, id) => answer(() => app.may(user, channelOfPlan({ entity, id }))),
    all: (user) => answer(() => app.may(user, entity)),
  });

  clock.after(owner, 0, () => {
    node.log = log(owner, link);
    const notifier = createNotifier<Cookie, string>({
      user: (request) => request.user,
      canListen: {
        A: rule('A'),
        B: {
          all: (user) => answer(() => app.may(user, 'B')),
          many: async (user, ids) => {
            await answer(() => true);
            return ids.filter((id) => app.may(user, channelOfPlan({ entity: 'B', id })));
          },
        },
      },
      grantLife: setup.grantLife,
      log: node.log,
      ...(adapter && { adapter: adapter(owner) }),
      env: { NOTIFY_LISTEN_SECRET: secrets.join(), NOTIFY_LISTEN_RETENTION: `${setup.retention}ms` },
      logger: () => {},
      onError,
    });
    node.notifier = notifier;
    const handler = handlerOf(notifier);
    node.handle = (request) => handler.handle(request);
    node.listed = true;
  });
  return node;
}

/** Ends the process: nobody of it says anything any more. */
export function killNode(node: Node, clock: Clock, engine: Engine | undefined, silently: boolean): void {
  if (node.owner.dead) return;
  clock.kill(node.owner);
  engine?.forget(node.owner);
  for (const connection of [...node.connections]) connection.lose('upstream', silently);
}
