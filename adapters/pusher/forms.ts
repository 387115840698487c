/**
 * What Pusher's own clients send to `/auth`: `socket_id` and `channel_name` to subscribe to a private channel, `socket_id`
 * alone to sign in. https://pusher.com/docs/channels/library_auth_reference/auth-signatures/
 */
import type { Channel } from '../channel.js';
import { channelOfName } from './names.js';

/** How Pusher names a connection. */
const SOCKET_ID = /^\d{1,20}\.\d{1,20}$/;

/** @throws TypeError unless it has the form of a socket id. It goes into what is signed, between colons. */
export function checkSocketId(connection: string, field: string): string {
  if (!SOCKET_ID.test(connection))
    throw new TypeError(`${field}: must be the socket id that Pusher gave, digits "." digits`);
  return connection;
}

/** The local channels that a form asks for; none when it asks only who the user is. @throws TypeError for a wrong form. */
export function readForm(namespace: string, fields: URLSearchParams): readonly Channel[] {
  const socketId = fields.get('socket_id');
  if (socketId === null) throw new TypeError('socket_id: is missing; the form of a Pusher client has one');
  checkSocketId(socketId, 'socket_id');
  const name = fields.get('channel_name');
  return name === null ? [] : [channelOfName(namespace, name)];
}
