/** The page that the browsers load: it shows one value, read again whenever the listener says so, and counts. */
import { createListenClient, type ListenStatus } from '../../widget/client/index.js';

export interface Probe {
  /** By this the server tells its reads from those of other tabs. */
  readonly name: string;
  /** What the page shows. */
  value: number;
  /** How often the callback ran. */
  runs: number;
  /** The actions of the notifications that came to the listener, whatever became of them. */
  readonly heard: string[];
  /** How often the page came back from the back/forward cache. */
  restored: number;
  readonly warnings: string[];
  readonly errors: string[];
  status(): ListenStatus;
  /** Resolves once nothing can be missed: with the way in which notifications come. */
  live(): Promise<string | undefined>;
  /** Resolves when a notification with this action has come. */
  hears(action: string): Promise<void>;
  /** Resolves with the first warning. */
  warned(): Promise<string>;
  /** How long a plain read takes, in milliseconds. */
  plainRead(): Promise<number>;
  /** Reads the stream without the library. Resolves with the first chunk, and again with each next one. */
  rawStream(): Promise<string>;
}

export function openPage(suffix = ''): Probe {
  const query = new URLSearchParams(location.search);
  // A page that another one opened is the duplicate of it, with the same address.
  const name = `${query.get('tab')}${window.opener ? '-duplicate' : ''}${suffix}`;
  const object = { entity: 'Order', id: 1 };
  const waiting = new Set<() => void>();
  const shown = document.body.appendChild(document.createElement('p'));
  let stream: ReadableStreamDefaultReader<string> | undefined;

  console.warn = (...words) => {
    probe.warnings.push(words.join(' '));
    look();
  };
  addEventListener('pageshow', ({ persisted }) => {
    if (persisted) probe.restored += 1;
  });

  const client = createListenClient({
    headers: { 'x-tab': name },
    onError: (error) => probe.errors.push(String(error)),
    onTrace({ notification }) {
      if (!notification) return;
      probe.heard.push(notification.action);
      look();
    },
  });

  async function load(): Promise<void> {
    const response = await fetch(`/value?tab=${name}`, { cache: 'no-store' });
    if (!response.ok) throw new Error(`${response.status}`);
    probe.value = await response.json();
    shown.textContent = String(probe.value);
  }

  /** Something happened that somebody may wait for. */
  function look(): void {
    for (const check of waiting) check();
  }

  /** Resolves as soon as it is so. */
  function until(isSo: () => boolean): Promise<void> {
    return new Promise((resolve) => {
      const check = (): void => {
        if (!isSo()) return;
        waiting.delete(check);
        resolve();
      };
      waiting.add(check);
      check();
    });
  }

  const probe: Probe = {
    name,
    value: -1,
    runs: 0,
    heard: [],
    restored: 0,
    warnings: [],
    errors: [],
    status: client.status,
    async live() {
      await until(() => client.status().state === 'connected');
      return client.status().via;
    },
    hears: (action) => until(() => probe.heard.includes(action)),
    async warned() {
      await until(() => probe.warnings.length > 0);
      return probe.warnings.join();
    },
    async plainRead() {
      const began = performance.now();
      await load();
      return performance.now() - began;
    },
    async rawStream() {
      stream ??= await openStream();
      const { value = '' } = await stream.read();
      return value;
    },
  };

  client.onStatus(look);
  void load();
  client.listen(object, {
    '*'() {
      probe.runs += 1;
      return load();
    },
  });
  return probe;
}

async function openStream(): Promise<ReadableStreamDefaultReader<string>> {
  const post = (route: string, body: object): Promise<Response> =>
    fetch(`/notify-listen/${route}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ protocol: 1, ...body }),
    });
  const { grant } = await (await post('auth', { objects: [{ entity: 'Order', id: 1 }] })).json();
  const answer = await post('stream', { wait: 'stream', grants: [grant], channels: { 'Order/1': null }, own: null });
  // Safari 16.4 cannot pass a decoder on as it is typed here.
  return (answer.body as ReadableStream).pipeThrough(new TextDecoderStream()).getReader();
}
