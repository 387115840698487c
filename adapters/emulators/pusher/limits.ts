/** Pusher's own limits, as its documentation states them, and those that keep the emulator itself bounded. */

/** Channel names, prefix included. */
export const MAX_CHANNEL_NAME = 164;
export const MAX_EVENT_NAME = 200;
/** The data of one event in bytes; above it a publish is answered by 413. */
export const MAX_EVENT_DATA: number = 10 * 1024;
export const MAX_CHANNELS_PER_PUBLISH = 100;
export const MAX_EVENTS_PER_BATCH = 10;
/** A batch of the largest events with their escapes: above it nothing is read. */
export const MAX_BODY: number = 1024 * 1024;
/** By how much `auth_timestamp` may be wrong, in seconds, either way. */
export const MAX_CLOCK_SKEW = 600;

/** Client events of one connection in one second. */
export const MAX_CLIENT_EVENTS = 10;
export const MAX_PRESENCE_MEMBERS = 100;
/** Of one member, as JSON, in bytes. */
export const MAX_USER_INFO = 1024;
export const MAX_USER_ID = 128;
export const MAX_WATCHLIST = 100;
/** For how long a cache channel keeps its last event, in milliseconds. */
export const CACHE_LIFE: number = 30 * 60_000;

/** Silence after which either side pings, in milliseconds. */
export const ACTIVITY_TIMEOUT = 120_000;
/** How long the answer to a ping may take, in milliseconds. */
export const PONG_TIMEOUT = 30_000;
/** For how long a client that knows no ping may say nothing, in milliseconds. */
export const INACTIVITY_LIMIT: number = 24 * 3_600_000;

/** What Pusher calls the Sandbox plan. */
export const SANDBOX_QUOTAS: { readonly connections: number; readonly messagesPerDay: number } = {
  connections: 100,
  messagesPerDay: 200_000,
};

/** Ours: more connections than one developer's machine should hold; further ones are told that it is over capacity. */
export const MAX_CONNECTIONS = 10_000;
/** Ours: Pusher states none; far above a page's. */
export const MAX_SUBSCRIPTIONS = 10_000;
/** Ours: of all cache channels together; the one that was published to longest ago is forgotten first. */
export const MAX_CACHED = 10_000;
/** Ours: one frame from a client: a client event of the largest data, escaped, with its envelope. */
export const MAX_FRAME: number = 100 * 1024;
