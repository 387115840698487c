import { startAblyEmulator } from '../../adapters/emulators/ably/start.js';
import { testDesk } from './desk.js';

testDesk({
  name: 'ably',
  start: startAblyEmulator,
  cut: { connections: 'reset', requests: 'reset', cut: true },
  spoil: (env) => ({ ...env, ABLY_API_KEY: `${env.ABLY_API_KEY?.split(':')[0]}:another-secret` }),
});
