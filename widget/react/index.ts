'use client';
/** `notify-listen/react`: the widget. A skin over `notify-listen/client`, which does all the work. */
export type {
  ActionMap,
  ActionRow,
  Actions,
  CallbackRegistry,
  ConnectionState,
  ListenClient,
  ListenClientOptions,
  ListenOptions,
  ListenStatus,
  Refresh,
  RefreshReason,
  Run,
  Trace,
} from '../client/types.js';
export { Listen, type ListenProps } from './listen.js';
export { ListenObject, type ListenObjectProps, type NoObject } from './listen-object.js';
export { ListenProvider, type ListenProviderProps } from './listen-provider.js';
export { type ListenState, type UseListenOptions, useListen } from './use-listen.js';
export { useListenClient, useListenStatus } from './use-listen-status.js';
