/** The built-in SSE adapter keeps the contract of an adapter: a notifier behind Node's own HTTP server, over the network. */
import { test } from 'vitest';
import { adapterContract, serverHouse } from '../../adapters/testing/index.js';

// Longer than the suite's own patience, whose sentence says what did not come.
for (const { name, run } of adapterContract(serverHouse(), { nodes: true })) test(name, run, 15_000);
