/** `notify-listen/client`: the client for any page, with the built-in SSE adapter. */
import { sse } from '../../adapters/sse/client.js';
import { createClientCore } from './client.js';
import type { ListenClient, ListenClientOptions } from './types.js';

export type { ClientAdapter, ObjectRef, Via, World } from '../../adapters/contract.js';
export { type Definition, defineEntities, type TypedObject } from '../../adapters/define.js';
export { type ErrorCode, ListenError } from '../../adapters/errors.js';
export type { Position } from '../../adapters/position.js';
export type { WireNotification } from '../../adapters/protocol.js';
export type {
  ProviderAuthorised,
  ProviderClientAdapter,
  ProviderConnection,
  ProviderHost,
  ProviderInterest,
} from '../../adapters/provider.js';
export type * from './types.js';

/**
 * Makes a client. Nothing is asked or opened before the first listener.
 *
 * @throws TypeError that names the option, for what cannot be.
 */
export function createListenClient(options: ListenClientOptions = {}): ListenClient {
  return createClientCore(options, [sse(), ...(options.adapters ?? [])]);
}
