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
export { currentSession, withSession } from './context.js';
export { createNotifier } from './notifier.js';
export { createPublisher } from './publisher.js';
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
  Publisher,
  PublisherOptions,
  Recipients,
  RelayMetrics,
  User,
} from './types.js';
