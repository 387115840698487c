/** A connection by the client half of an adapter alone: what it hears is what the provider delivers, unfiltered. */
import { type Channel, channelOf } from '../channel.js';
import type { ObjectRef, World } from '../contract.js';
import { ListenError } from '../errors.js';
import { parseNotification } from '../notification.js';
import {
  type AuthAnswer,
  type ConfigAnswer,
  type ErrorAnswer,
  PROTOCOL_VERSION,
  type ProviderAuthAnswer,
  type WireNotification,
} from '../protocol.js';
import type { ProviderClientAdapter, ProviderHost, ProviderInterest } from '../provider.js';
import type { Tap } from './adapter-house.js';
import { inTime } from './case.js';

export interface TapOptions {
  /** Where the server's routes are. */
  readonly url: string;
  /** Who asks. */
  readonly headers: Readonly<Record<string, string>>;
  readonly client: ProviderClientAdapter;
  /** What the connection shall hear, as far as the user may. */
  readonly objects: readonly ObjectRef[];
  /** How long `until` waits, in milliseconds. */
  readonly patience: number;
}

/** Connects, with the grants that the user gets for the objects. */
export async function openTap({ url, headers, client, objects, patience }: TapOptions): Promise<Tap> {
  const heard: WireNotification[] = [];
  const denied = new Set<Channel>();
  const looks = new Set<() => void>();
  let attached = 0;

  function told(note: () => void): void {
    note();
    for (const look of [...looks]) look();
  }

  async function ask<Answer>(route: string, body?: object): Promise<Answer> {
    const response = await fetch(`${url}/${route}`, {
      method: body ? 'POST' : 'GET',
      headers: { ...headers, ...(body && { 'content-type': 'application/json' }) },
      ...(body && { body: JSON.stringify({ protocol: PROTOCOL_VERSION, ...body }) }),
    });
    const answer: unknown = await response.json();
    if (response.ok) return answer as Answer;
    const { code, message } = (answer as ErrorAnswer).error;
    throw new ListenError(code, message);
  }

  const config = await ask<ConfigAnswer>('config');
  const { grant } = await ask<AuthAnswer>('auth', { objects });
  const interest: ProviderInterest = { grants: grant === undefined ? [] : [grant], channels: objects.map(channelOf) };
  const world: World = {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    setTimeout: (run, ms) => setTimeout(run, ms),
    clearTimeout: (timer) => clearTimeout(timer as ReturnType<typeof setTimeout>),
    random: () => Math.random(),
    fetch: (input, init) => fetch(input, init),
  };
  const host: ProviderHost = {
    config,
    world,
    async authorise(name, { grants, channels }) {
      const answer = await ask<ProviderAuthAnswer>('auth', {
        connection: name,
        grants,
        channels,
      });
      told(() => {
        for (const channel of answer.reauthorise) denied.add(channel);
      });
      // As the core does: a set that is not authorised as a whole cannot be attached. Not from inside the answer.
      if (answer.reauthorise.length > 0)
        queueMicrotask(() => connection.update({ grants, channels: channels.filter((each) => !denied.has(each)) }));
      return { details: answer.details, renewIn: answer.renewIn };
    },
    attached: () => told(() => attached++),
    missed: () => {},
    message(data) {
      const notification = parseNotification(typeof data === 'string' ? JSON.parse(data) : data);
      if (notification) told(() => heard.push(notification));
    },
    down: () => {},
  };
  const connection = client.connect(host);
  connection.update(interest);

  return {
    heard,
    denied,
    get attached() {
      return attached;
    },
    async until(holds, what) {
      let stop: () => void = () => {};
      const held = new Promise<void>((resolve) => {
        const look = (): void => {
          if (holds()) resolve();
        };
        looks.add(look);
        stop = () => looks.delete(look);
        look();
      });
      return inTime(held, what, patience).finally(stop);
    },
    close: () => connection.close(),
  };
}
