/** A TCP balancer: each connection goes to the next node that takes it, in turn. Knows nothing of HTTP. */
import { type AddressInfo, createServer, connect as dial, type Socket } from 'node:net';
import { onTestFinished } from 'vitest';

export interface Balancer {
  readonly url: string;
  /** The ports of the nodes; changes count from the next connection on. */
  targets: readonly number[];
}

export async function startBalancer(): Promise<Balancer> {
  const sockets = new Set<Socket>();
  let turn = 0;

  function join(near: Socket, left: number): void {
    const port = balancer.targets[turn++ % balancer.targets.length];
    if (left === 0 || port === undefined) return void near.destroy();
    const far = dial(port, '127.0.0.1');
    sockets.add(far);
    far.once('error', () => join(near, left - 1));
    far.once('connect', () => {
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
    near.setNoDelay(true);
    join(near, balancer.targets.length);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const balancer: Balancer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/notify-listen`,
    targets: [],
  };
  return balancer;
}
