/** The providers, their emulators, and how each of them is made to fail. */
import { startAblyEmulator } from '../../adapters/emulators/ably/start.js';
import type { Emulator } from '../../adapters/emulators/emulator.js';
import { startPusherEmulator } from '../../adapters/emulators/pusher/start.js';

export interface DeskOn {
  readonly name: string;
  start(): Promise<Emulator>;
  /** The faults that stand for its death. */
  readonly cut: object;
  /** The constants with a key that is not the provider's. */
  spoil(env: Readonly<Record<string, string>>): Readonly<Record<string, string>>;
}

export const PUSHER: DeskOn = {
  name: 'pusher',
  start: startPusherEmulator,
  cut: { connections: 'reset', requests: 'reset', close: 4200 },
  spoil: (env) => ({ ...env, PUSHER_SECRET: 'a-secret-of-another-application' }),
};

export const ABLY: DeskOn = {
  name: 'ably',
  start: startAblyEmulator,
  cut: { connections: 'reset', requests: 'reset', cut: true },
  spoil: (env) => ({ ...env, ABLY_API_KEY: `${env.ABLY_API_KEY?.split(':')[0]}:another-secret` }),
};
