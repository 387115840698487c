import { startPusherEmulator } from '../../adapters/emulators/pusher/start.js';
import { testDesk } from './desk.js';

testDesk({
  name: 'pusher',
  start: startPusherEmulator,
  cut: { connections: 'reset', requests: 'reset', close: 4200 },
  spoil: (env) => ({ ...env, PUSHER_SECRET: 'a-secret-of-another-application' }),
});
