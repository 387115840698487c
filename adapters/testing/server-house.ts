/**
 * Makes the house for the contract suite out of the two halves of an adapter: a real notifier behind Node's own HTTP
 * server on a port of its own, and real clients. The author of an adapter adds only what is theirs:
 *
 * ```ts
 * const house = serverHouse(async () => {
 *   const broker = await startBroker(); // the provider, or a faithful local server of its protocol
 *   return {
 *     adapter: ({ namespace }) => myServerHalf({ url: broker.url, namespace }),
 *     client: () => myClientHalf(),
 *     faults: { down: broker.down, up: broker.up, refuse: broker.refuse, lose: broker.cut },
 *     close: broker.close,
 *   };
 * });
 * for (const { name, run } of adapterContract(house, { hosted: 'mine', nodes: true })) test(name, run, 30_000);
 * ```
 */
import type { AddressInfo, Socket } from 'node:net';
import type { Notifier } from '../../server/types.js';
import { createListenClient } from '../../widget/client/index.js';
import type { ObjectRef, World } from '../contract.js';
import type { ProviderAdapter, ProviderClientAdapter, ProviderHost } from '../provider.js';
import type { AdapterHouse, HouseHooks, HousePage, HouseProvider, ProviderFaults, Tap } from './adapter-house.js';
import { CONTRACT_ENTITIES } from './entities.js';
import { createPostman } from './postman.js';
import { openTap } from './tap.js';

/** Where one server stands: what its half of the adapter must know beside the provider's account. */
export interface HousePlace {
  /** Goes in front of every name at the provider. A new one for each case, so that cases may share a provider. */
  readonly namespace: string;
}

/** What is different from adapter to adapter. All of it left out: the built-in SSE. */
export interface HouseParts {
  /** The server half; a new one for each node. */
  readonly adapter?: (place: HousePlace) => ProviderAdapter | Promise<ProviderAdapter>;
  /** The client half; a new one for each page. */
  readonly client?: () => ProviderClientAdapter;
  readonly faults?: ProviderFaults;
  /** Ends what the parts themselves hold. Called once, after pages and nodes. */
  readonly close?: () => unknown;
  /** How long taps wait for what must come, in milliseconds. Default 10,000. */
  readonly patience?: number;
}

const SECRET = 'a secret of the contract suite that is long enough';
const PATIENCE_OF_TAPS = 10_000;

/** What a node of the house is: a notifier, and how it answers requests. */
interface Node {
  readonly notifier: Notifier;
  readonly listener: ReturnType<typeof import('../../server/use/node.js').nodeListener>;
}

/**
 * @param open makes the parts; called once for each case.
 * @returns the factory that `adapterContract` takes.
 */
export function serverHouse(
  open: () => HouseParts | Promise<HouseParts> = () => ({}),
): (mayListen: (user: string, object: ObjectRef) => boolean) => Promise<AdapterHouse> {
  return async (mayListen) => {
    // Not at the top: browsers load this package too, and only whoever calls this needs a server.
    const { createServer } = await import('node:http');
    const { createNotifier } = await import('../../server/index.js');
    const { createMemoryLog } = await import('../../server/log/memory.js');
    const { nodeListener } = await import('../../server/use/node.js');

    const { adapter, client, faults, close = () => {}, patience = PATIENCE_OF_TAPS } = await open();
    const postman = createPostman();
    const count = { auth: 0, links: 0 };
    const rules = Object.fromEntries(
      CONTRACT_ENTITIES.map((entity) => [
        entity,
        {
          one: (user: string, id: string) => mayListen(user, { entity, id }),
          all: (user: string) => mayListen(user, { entity }),
        },
      ]),
    );

    /** One application: its log, its nodes, and the address under which they answer. */
    async function found(namespace: string, grantLife?: number) {
      let log = createMemoryLog();
      let online = true;
      const start = async (): Promise<Node> => {
        const half = await adapter?.({ namespace });
        const notifier = createNotifier({
          user: (request: { headers: Record<string, unknown> }) => request.headers['x-user'] as string | undefined,
          session: (request: { headers: Record<string, unknown> }) =>
            request.headers['x-session'] as string | undefined,
          canListen: rules,
          log,
          ...(half && { adapter: half }),
          ...(grantLife !== undefined && { grantLife }),
          env: { NOTIFY_LISTEN_SECRET: SECRET, NOTIFY_LISTEN_NAMESPACE: namespace },
          logger: () => {},
          // With a provider, its faults are told here, and the suite makes many.
          onError(error) {
            if (!half) throw error;
          },
        });
        return { notifier, listener: nodeListener(notifier) };
      };
      let nodes: readonly [Node, ...Node[]] = [await start()];
      await carrying(nodes[0].notifier);
      const newest = (): Node => nodes[nodes.length - 1] as Node;
      const sockets = new Set<Socket>();
      const server = createServer((request, response) => void newest().listener(request, response));
      server.on('connection', (socket) => {
        if (!online) socket.destroy();
        sockets.add(socket);
        socket.on('close', () => sockets.delete(socket));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/notify-listen`;
      const cut = (): void => {
        for (const socket of sockets) socket.destroy();
      };

      return {
        url,
        notifier: () => newest().notifier,
        gap: () => log.append([{ kind: 'resync' }]),
        disconnect() {
          online = false;
          cut();
        },
        connect() {
          online = true;
        },
        async restart() {
          const former = nodes;
          log = createMemoryLog();
          nodes = [await start()];
          await newest().notifier.position();
          await carrying(newest().notifier);
          cut();
          await Promise.all(former.map(({ notifier }) => notifier.close({ within: 0 })));
        },
        async add() {
          const node = await start();
          await node.notifier.position();
          nodes = [...nodes, node];
        },
        async leave() {
          const former = nodes.slice(0, -1);
          nodes = [newest()];
          for (const { notifier } of former) await notifier.close({ within: 0 });
        },
        async close() {
          await Promise.all(nodes.map(({ notifier }) => notifier.close({ within: 0 })));
          cut();
          await new Promise((resolve) => server.close(resolve));
        },
      };
    }

    const namespace = `c-${crypto.randomUUID()}`;
    const home = await found(namespace);
    const taps: Tap[] = [];
    const neighbours: Awaited<ReturnType<typeof found>>[] = [];

    const headersOf = ({ user, session }: HousePage): Record<string, string> => ({
      'x-user': user,
      ...(session !== undefined && { 'x-session': session }),
    });
    const clientAt = (url: string) => (page: HousePage, hooks: HouseHooks) => {
      const send: World['fetch'] = (input, init) => {
        const { objects, wait } = JSON.parse(typeof init?.body === 'string' ? init.body : '{}') as Record<
          string,
          unknown
        >;
        if (objects !== undefined) count.auth += 1;
        if (wait !== undefined) count.links += 1;
        return fetch(input, init);
      };
      return createListenClient({
        url,
        headers: headersOf(page),
        ...hooks,
        world: { ...hooks.world, fetch: send },
        ...(client && { adapters: [delivering(client(), postman.carry)] }),
      });
    };

    const tapAt =
      (url: string): HouseProvider['tap'] =>
      async (page, objects) => {
        if (!client) throw new Error('a tap needs the client half of an adapter');
        const tap = await openTap({ url, headers: headersOf(page), client: client(), objects, patience });
        taps.push(tap);
        return tap;
      };
    const provider: HouseProvider | undefined = faults &&
      client && {
        drop: postman.drop,
        ...faults,
        hold: postman.hold,
        release: postman.release,
        tap: tapAt(home.url),
        async neighbour(options) {
          const next = await found(`${namespace}-b`, options?.grantLife);
          neighbours.push(next);
          return {
            notify: (action, object, options) => next.notifier().notify(action, object, options),
            position: () => next.notifier().position(),
            createClient: clientAt(next.url),
            tap: tapAt(next.url),
          };
        },
      };

    return {
      notify: (action, object, options) => home.notifier().notify(action, object, options),
      revoke: (user, object) => home.notifier().revoke(user, object),
      position: () => home.notifier().position(),
      createClient: clientAt(home.url),
      async disconnect() {
        home.disconnect();
        await faults?.down();
      },
      async connect() {
        home.connect();
        await faults?.up();
      },
      gap: home.gap,
      async restart() {
        await home.restart();
        await faults?.lose();
      },
      requests: () => ({ ...count }),
      nodes: { add: home.add, leave: home.leave },
      ...(provider && { provider }),
      async close() {
        for (const tap of taps) tap.close();
        await Promise.all([home, ...neighbours].map((each) => each.close()));
        await close();
      },
    };
  };
}

/** A new log is carried to the provider from the moment on in which its first node has the lease. */
async function carrying(notifier: Notifier): Promise<void> {
  for (let n = 0; notifier.metrics().relay?.holds === false; n++) {
    if (n > 1_000) throw new Error('no node carries the log to the provider');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The same client half, with somebody in between who carries what arrives. */
function delivering(adapter: ProviderClientAdapter, carry: (deliver: () => void) => void): ProviderClientAdapter {
  return {
    ...adapter,
    connect(host: ProviderHost) {
      let closed = false;
      const connection = adapter.connect({
        ...host,
        message: (data) => carry(() => closed || host.message(data)),
      });
      return {
        update: (interest) => connection.update(interest),
        close() {
          closed = true;
          connection.close();
        },
      };
    },
  };
}
