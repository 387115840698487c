/** `notify-listen/emulators`: local servers that speak the providers' protocols, for development and tests. */
export type { AblyLimits } from './ably/rates.js';
export { type AblyEmulator, type AblyEmulatorOptions, startAblyEmulator } from './ably/start.js';
export type {
  Emulator,
  EmulatorCounters,
  EmulatorOptions,
  EmulatorWorld,
  FaultSettings,
  Faults,
  Refusal,
} from './emulator.js';
export { NO_FAULTS } from './emulator.js';
export { SANDBOX_QUOTAS } from './pusher/limits.js';
export {
  type PusherEmulator,
  type PusherEmulatorOptions,
  type PusherQuotas,
  startPusherEmulator,
} from './pusher/start.js';
