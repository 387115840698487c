/** What a channel's name says: its kind, and whether it is a name at all. */
import { MAX_CHANNEL_NAME } from './limits.js';

const NAME = /^[A-Za-z0-9_\-=@,.;]+$/;
const TO_USER = '#server-to-user-';

export const isChannelName = (name: string): boolean => name.length <= MAX_CHANNEL_NAME && NAME.test(name);
export const isSocketId = (text: string): boolean => /^\d+\.\d+$/.test(text);

/** Encrypted channels are private ones: what is inside concerns only the ends. */
export const isPrivate = (name: string): boolean => name.startsWith('private-');
export const isPresence = (name: string): boolean => name.startsWith('presence-');
/** Keeps its last event. */
export const isCache = (name: string): boolean => /^(private-encrypted-|private-|presence-)?cache-/.test(name);

/** The user whose own channel it is; `undefined` for any other. */
export const userOf = (name: string): string | undefined =>
  name.startsWith(TO_USER) && name.length > TO_USER.length ? name.slice(TO_USER.length) : undefined;
