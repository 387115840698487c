/**
 * What a page of the chaos run does, in a browser or in a process of clients: it shows the values of some items, each read
 * with a plain fetch of the application's own route whenever the library says so. It writes a story of what it went through.
 */
import { createListenClient, type ListenStatus } from '../../widget/client/index.js';

/** What the harness asks a page, about twice a second. */
export interface Report {
  readonly shown: Readonly<Record<string, number | undefined>>;
  readonly status: Pick<ListenStatus, 'state' | 'via' | 'degraded'>;
  readonly counts: Readonly<Record<Count, number>>;
}

type Count = 'reconnects' | 'step-downs' | 'degraded' | 'hints' | 'resyncs' | 'load races' | 'failed reads' | 'errors';

/** The newest lines of the story. */
const STORY = 250;
/** A read that hangs on a dead connection holds one of the six that a browser opens to a host. Milliseconds. */
const READ_LIMIT = 10_000;
/** Between two tries of the page's first read, in milliseconds: that one is the application's own affair. */
const FIRST_READ_AGAIN = 1_000;

export interface ScreenOptions {
  /** Of the application; `''`: where the page came from. */
  readonly origin: string;
  readonly user: string;
  readonly ids: readonly string[];
  /** Whether tabs share a connection, as the library does by itself. Default: they do. */
  readonly tabs?: boolean;
}

export interface Screen {
  report(): Report;
  told(): readonly string[];
  close(): void;
}

export function openScreen({ origin, user, ids, tabs = true }: ScreenOptions): Screen {
  const shown: Record<string, number | undefined> = {};
  const counts: Record<Count, number> = {
    reconnects: 0,
    'step-downs': 0,
    degraded: 0,
    hints: 0,
    resyncs: 0,
    'load races': 0,
    'failed reads': 0,
    errors: 0,
  };
  const story: string[] = [];
  let closed = false;

  function tell(line: string): void {
    story.push(`${new Date().toISOString().slice(11, 23)} ${line}`);
    if (story.length > STORY) story.shift();
  }

  const client = createListenClient({
    url: `${origin}/notify-listen`,
    headers: { 'x-user': user },
    ...(!tabs && { tabs: false }),
    onError: (error) => {
      counts.errors += 1;
      tell(`error ${error}`);
    },
    onTrace: ({ object, reason, fate, notification }) => {
      if (fate === 'queued' || fate === 'merged')
        counts[reason === 'notification' ? 'hints' : reason === 'resync' ? 'resyncs' : 'load races'] += 1;
      tell(`${object.id}: ${reason} ${fate} ${notification?.position ?? ''}`);
    },
  });

  let former = client.status();
  client.onStatus(() => {
    const status = client.status();
    if (status.state === 'reconnecting' && former.state === 'connected') counts.reconnects += 1;
    if (status.via === 'poll' && former.via !== 'poll') counts['step-downs'] += 1;
    if (status.degraded && !former.degraded) counts.degraded += 1;
    tell(`${status.state} ${status.via ?? ''} ${status.degraded ? 'degraded' : ''} ${status.error ?? ''}`);
    former = status;
  });

  async function read(id: string): Promise<void> {
    try {
      const response = await fetch(`${origin}/values/${id}`, { signal: AbortSignal.timeout(READ_LIMIT) });
      const { value } = (await response.json()) as { value?: unknown };
      if (typeof value !== 'number') throw new Error(`no value: status ${response.status}`);
      shown[id] = value;
      tell(`${id} = ${value}`);
    } catch (error) {
      counts['failed reads'] += 1;
      tell(`${id}: ${error}`);
      throw error;
    }
  }

  /** Loads, then listens: what changes in between is the library's affair. */
  async function show(id: string): Promise<void> {
    while (!closed) {
      const loadedAt = Date.now();
      const loaded = await read(id).then(
        () => true,
        () => false,
      );
      if (closed) return;
      if (loaded) return void client.listen({ entity: 'Item', id }, { '*': () => read(id) }, { loadedAt });
      await new Promise((resolve) => setTimeout(resolve, FIRST_READ_AGAIN));
    }
  }

  for (const id of ids) {
    shown[id] = undefined;
    void show(id);
  }

  return {
    report() {
      const { state, via, degraded } = client.status();
      return { shown: { ...shown }, status: { state, degraded, ...(via && { via }) }, counts: { ...counts } };
    },
    told: () => story,
    close() {
      closed = true;
      client.close();
    },
  };
}
