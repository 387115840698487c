/** A TCP balancer: each connection goes to the next node that takes it, in turn. Knows nothing of HTTP. */
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface Balancer {
  readonly port: number;
  readonly url: string;
  /** The ports of the nodes; changes count from the next connection on. */
  targets: readonly number[];
  close(): void;
}

/** One that ends with the test. */
export async function startBalancer(): Promise<Balancer> {
  const balancer = await openBalancer();
  onTestFinished(balancer.close);
  return balancer;
}

export async function openBalancer(): Promise<Balancer> {
  const sockets = new Set<Socket>();
  let turn = 0;

  function join(near: Socket, left: number): void {
    const port = balancer.targets[turn++ % balancer.targets.length];
    if (left === 0 || port === undefined || near.destroyed) return void near.destroy();
    const far = dial(port, '127.0.0.1');
    sockets.add(far);
    far.once('error', () => {
      sockets.delete(far);
      join(near, left - 1);
    });
    far.once('connect', () => {
      if (near.destroyed) return void far.destroy();
      far.removeAllListeners('error');
      for (const [one, other] of [
        [near, far],
        [far, near],
      ] as const) {
        one.on('error', () => other.destroy());
        one.on('close', () => {
          sockets.delete(one);
          other.destroy();
        });
        one.pipe(other);
      }
    });
  }

  const server = createServer((near) => {
    sockets.add(near);
    near.on('error', () => {}); // also while a node is looked for
    near.once('close', () => sockets.delete(near));
    near.setNoDelay(true);
    join(near, balancer.targets.length);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const balancer: Balancer = {
    port,
    url: `http://127.0.0.1:${port}/notify-listen`,
    targets: [],
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
  return balancer;
}
