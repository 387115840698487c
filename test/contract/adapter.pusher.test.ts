/** The Pusher adapter keeps the contract: both of the vendor's SDKs, against the local server of its protocol. */
import { test } from 'vitest';
import { startPusherEmulator } from '../../adapters/emulators/index.js';
import { pusher } from '../../adapters/pusher/client.js';
import { PERIOD_MS } from '../../adapters/pusher/names.js';
import { createPusherAdapter, readPusherSettings } from '../../adapters/pusher/server.js';
import { adapterContract, serverHouse } from '../../adapters/testing/index.js';

/** In the middle of a period: the suite moves the clock of pages past its end, and that of the server stays. */
const MIDDLE = Math.floor(Date.now() / PERIOD_MS) * PERIOD_MS + PERIOD_MS / 2;

const house = serverHouse(async () => {
  const emulator = await startPusherEmulator();
  const { settings, mistakes } = readPusherSettings(emulator.env);
  if (!settings) throw new Error(mistakes.join('\n'));
  return {
    adapter: ({ namespace }) => createPusherAdapter({ ...settings, namespace, now: () => MIDDLE }),
    client: pusher,
    faults: {
      down: () => emulator.stop(),
      refuse() {
        emulator.faults.set({ connections: 4004 });
        emulator.closeAll(4004);
      },
      async up() {
        emulator.faults.clear();
        await emulator.start();
      },
      // Pusher has no loss flag: whoever is cut may have lost something.
      lose: () => void emulator.closeAll(4200),
    },
    close: () => emulator.close(),
  };
});

// Each case has an emulator, a server and pages of its own, so they run together. Only what is broken waits so long.
for (const { name, run } of adapterContract(house, { hosted: 'pusher', nodes: true, patience: 20_000 }))
  test.concurrent(name, run);
