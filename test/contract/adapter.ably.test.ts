/** The Ably adapter keeps the contract of an adapter: Ably's own SDK on both sides, an Ably-protocol server between them. */
import { test } from 'vitest';
import { ably } from '../../adapters/ably/client.js';
import { createAblyAdapter, readAblySettings } from '../../adapters/ably/server.js';
import { startAblyEmulator } from '../../adapters/emulators/index.js';
import { adapterContract, serverHouse } from '../../adapters/testing/index.js';

const house = serverHouse(async () => {
  const emulator = await startAblyEmulator();
  const { settings } = readAblySettings(emulator.env);
  if (!settings) throw new Error('the emulator names constants that cannot be read');
  return {
    adapter: ({ namespace }) => createAblyAdapter({ ...settings, namespace }),
    client: () => ably(),
    faults: {
      down: () => emulator.stop(),
      refuse: () => emulator.removeKey(),
      async up() {
        emulator.restoreKey();
        await emulator.start();
      },
      lose: () => emulator.loseContinuity(),
    },
    close: () => emulator.close(),
  };
});

// Each case has an emulator, a server and pages of its own, so they run together. Only what is broken waits so long.
for (const { name, run } of adapterContract(house, { hosted: 'ably', nodes: true, patience: 20_000 }))
  test.concurrent(name, run);
