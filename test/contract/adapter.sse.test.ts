/** The built-in SSE adapter keeps the contract of an adapter: a notifier behind Node's own HTTP server, over the network. */
import { test } from 'vitest';
import { adapterContract, serverHouse } from '../../adapters/testing/index.js';

// Each case has a server and pages of its own, so they run together. Only what is broken waits so long.
for (const { name, run } of adapterContract(serverHouse(), { nodes: true, patience: 20_000 }))
  test.concurrent(name, run);
