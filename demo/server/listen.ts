/** Where the desk listens, and how long it takes to leave. */
import { createServer as createAnyServer, type Server } from 'node:net';

/** This machine only: whoever reaches the desk can log in as anybody. */
export const HOST = '127.0.0.1';
/** How long pages may take to come back after a clean stop, in milliseconds: it is a demo, so at once. */
export const GOODBYE_MS = 500;
/** A stop of one process that takes longer is ended by force. */
export const STOP_MS = 1500;

/** Resolves with the port; 0 takes one that is free. */
export function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, HOST, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address ? address.port : port);
    });
  });
}

/** A port that nobody had a moment ago. */
export async function freePort(): Promise<number> {
  const server = createAnyServer();
  const port = await listen(server, 0);
  await new Promise((resolve) => server.close(resolve));
  return port;
}
