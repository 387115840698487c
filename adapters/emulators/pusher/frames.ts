/** The frames that the server sends. `data` is text, JSON in JSON, as the protocol says, except in `pusher:error`. */

/** A frame without a channel. */
export const systemFrame = (event: string, data: unknown): string =>
  JSON.stringify({ event, data: JSON.stringify(data) });

/** A frame of a channel, made by the server. */
export const channelFrame = (event: string, channel: string, data: unknown): string =>
  JSON.stringify({ event, channel, data: JSON.stringify(data) });

/** An event that somebody published: its data goes as it came. `userId`: of a client event on a presence channel. */
export const eventFrame = (event: string, channel: string, data: string, userId?: string): string =>
  JSON.stringify({ event, channel, data, ...(userId !== undefined && { user_id: userId }) });

/** An error that does not close; most have no code. */
export const errorFrame = (message: string, code: number | null = null): string =>
  JSON.stringify({ event: 'pusher:error', data: { code, message } });

/** A subscription that is refused. Not in Pusher's documentation, but its clients take it, and other servers send it. */
export const refusalFrame = (channel: string, type: string, error: string, status: number): string =>
  channelFrame('pusher:subscription_error', channel, { type, error, status });

export const missFrame = (channel: string): string => JSON.stringify({ event: 'pusher:cache_miss', channel, data: '' });
