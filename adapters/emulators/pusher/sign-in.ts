/** `pusher:signin`: the connection says whose it is, and proves it. */
import { isSignedBy, type PusherApp } from './app.js';
import { errorFrame, systemFrame } from './frames.js';
import { MAX_USER_ID, MAX_WATCHLIST } from './limits.js';
import { isRecord, parsed } from './values.js';

export interface SignedIn {
  readonly id: string;
  /** `user_info`, for presence channels. */
  readonly info: unknown;
  readonly watchlist: readonly string[];
  /** What the client is told, in order. */
  readonly answers: readonly string[];
}

/** @returns who it is, or the error frame that says why not */
export function signIn(
  app: PusherApp,
  socketId: string,
  before: SignedIn | undefined,
  { auth, user_data }: Readonly<Record<string, unknown>>,
): SignedIn | string {
  if (typeof user_data !== 'string' || !isSignedBy(app, auth, `${socketId}::user::${user_data}`)) {
    return errorFrame('Connection not authorized: the signature of the sign-in is wrong', 4009);
  }
  const user = parsed(user_data);
  const id = isRecord(user) ? user.id : undefined;
  if (!isRecord(user) || typeof id !== 'string' || id === '' || id.length > MAX_USER_ID) {
    return errorFrame(`user_data has no "id": a text of 1 to ${MAX_USER_ID} characters`, 4009);
  }
  if (before && before.id !== id) return errorFrame('The connection is signed in as another user', 4009);
  const all = Array.isArray(user.watchlist) ? user.watchlist.filter((other) => typeof other === 'string') : [];
  const answers = [systemFrame('pusher:signin_success', { user_data })];
  if (all.length > MAX_WATCHLIST) {
    const message = `Watchlist limit exceeded. Only the first ${MAX_WATCHLIST} user IDs are accepted.`;
    answers.push(errorFrame(message, 4302));
  }
  return { id, info: user.user_info, watchlist: all.slice(0, MAX_WATCHLIST), answers };
}
