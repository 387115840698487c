/** The HTTP API under `/apps/<id>`. Errors are plain text, as Pusher's. */
import { type HttpAnswer, type HttpRequest, json } from '../http-server.js';
import { authenticate, unescaped } from './app.js';
import type { House } from './house.js';
import { isChannelName, isPresence } from './names.js';
import { attributesOf, bad, describe, type Fault, isFault, publishBatch, publishOne } from './publish.js';
import { parsed } from './values.js';

export const plain = (status: number, message: string): HttpAnswer => ({
  status,
  headers: { 'Content-Type': 'text/plain; charset=utf-8' },
  body: `${message}\n`,
});

export function answerRest(house: House, request: HttpRequest): HttpAnswer {
  const path = /^\/apps\/([^/]+)(\/.*)$/.exec(request.path);
  if (!path) return plain(404, 'Not found');
  if (path[1] !== house.app.id) return plain(404, 'There is no app of this id');
  const refused = authenticate(house.app, request, house.world.now());
  if (refused !== undefined) return plain(401, refused);
  const made = route(house, request, path[2] ?? '');
  return isFault(made) ? plain(made.status, made.message) : json(200, made);
}

function route(house: House, { method, query, body }: HttpRequest, path: string): object | Fault {
  const asked = new URLSearchParams(query);
  const channel = /^\/channels\/([^/]+)(\/users)?$/.exec(path);
  const user = /^\/users\/([^/]+)\/terminate_connections$/.exec(path);
  const wanted = path === '/channels' || channel ? 'GET' : 'POST';
  const isKnown = path === '/events' || path === '/batch_events' || path === '/channels' || channel || user;
  if (!isKnown) return bad('Not found', 404);
  if (method !== wanted) return bad(`${method} is not ${wanted}`, 405);
  if (path === '/events') return publishOne(house, parsed(body.toString()));
  if (path === '/batch_events') return publishBatch(house, parsed(body.toString()));
  if (user) {
    house.users.terminate(unescaped(user[1] ?? ''));
    return {};
  }
  if (!channel) return listChannels(house, asked);
  const name = unescaped(channel[1] ?? '');
  if (!isChannelName(name)) return bad(`${JSON.stringify(name)} is not a channel name`);
  return channel[2] ? listUsers(house, name) : describeChannel(house, name, asked);
}

function listChannels(house: House, asked: URLSearchParams): object | Fault {
  const prefix = asked.get('filter_by_prefix') ?? '';
  const info = attributesOf(asked.get('info'), house.app);
  if (isFault(info)) return info;
  if (info.includes('user_count') && !isPresence(prefix)) {
    return bad('user_count is for presence channels: filter_by_prefix must start with presence-');
  }
  const names = house.channels.occupied().filter((name) => name.startsWith(prefix));
  return { channels: Object.fromEntries(names.map((name) => [name, describe(house, name, info)])) };
}

function describeChannel(house: House, name: string, asked: URLSearchParams): object | Fault {
  const info = attributesOf(asked.get('info'), house.app);
  if (isFault(info)) return info;
  if (info.includes('user_count') && !isPresence(name)) return bad('user_count is for presence channels');
  return { occupied: house.channels.subscribers(name) > 0, ...describe(house, name, info) };
}

function listUsers(house: House, name: string): object | Fault {
  if (!isPresence(name)) return bad('users is for presence channels');
  return { users: house.channels.members(name).map((id) => ({ id })) };
}
