/** `notify-listen/server`: the notifier and what it is told. */
export type { Log, ObjectRef } from '../adapters/contract.js';
export { ListenError } from '../adapters/errors.js';
export type { Position } from '../adapters/position.js';
export type {
  Outgoing,
  ProviderAdapter,
  ProviderAuthorisation,
  ProviderAuthorised,
  ProviderForms,
  PublishOutcome,
} from '../adapters/provider.js';
export { createNotifier } from './notifier.js';
export type {
  ChangedObject,
  EntityAccess,
  Limits,
  LogLine,
  Metrics,
  Notifier,
  NotifierOptions,
  NotifyOptions,
  NotifyResult,
  Recipients,
  RelayMetrics,
  User,
} from './types.js';
