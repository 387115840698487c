/**
 * The page that is measured: rows that show an order each. A row listens to its order, by the hook or by the element, or
 * holds one empty effect in the place of either. Written as applications write it: with functions and objects made in each render.
 */
import { type ReactNode, useEffect } from 'react';
import { flushSync } from 'react-dom';
import { createRoot, type Root } from 'react-dom/client';
import { Listen, ListenProvider, useListen, useListenClient } from '../../widget/react/index.js';

/** What a row holds. */
export type Kind = 'effect' | 'hook' | 'empty' | 'element';

/** The client of the page. */
type Client = ReturnType<typeof useListenClient>;

/** How many empty effects have run. */
let rows = 0;
const runs: number[] = [];
let root: Root;
let client: Client;

/** On the clock that all processes of the machine share, in milliseconds. */
const now = (): number => performance.timeOrigin + performance.now();
const refetch = (): void => void runs.push(now());

/** What a component shows: a line of text, or nothing at all. */
const show = (shown: boolean, id: number, more?: ReactNode): ReactNode =>
  shown ? (
    <li>
      Order {id}
      {more}
    </li>
  ) : (
    more
  );

interface RowProps {
  readonly id: number;
  readonly shown: boolean;
}

function EffectRow({ id, shown }: RowProps): ReactNode {
  useEffect(() => {
    rows++;
  }, []);
  return show(shown, id);
}

function Empty(): ReactNode {
  useEffect(() => {
    rows++;
  }, []);
  return null;
}

function EmptyRow({ id, shown }: RowProps): ReactNode {
  return show(shown, id, <Empty />);
}

function HookRow({ id, shown }: RowProps): ReactNode {
  useListen({ entity: 'Order', id }, [{ on: 'updated', run: () => refetch() }]);
  return show(shown, id);
}

function ElementRow({ id, shown }: RowProps): ReactNode {
  return show(
    shown,
    id,
    <Listen object={{ entity: 'Order', id }} actions={[{ on: 'updated', run: () => refetch() }]} />,
  );
}

const ROWS = { effect: EffectRow, hook: HookRow, empty: EmptyRow, element: ElementRow };

function Client(): ReactNode {
  client = useListenClient();
  return null;
}

interface PageProps {
  readonly kind: Kind;
  readonly shown: boolean;
  readonly listeners: number;
  readonly objects: number;
}

function Page({ kind, shown, listeners, objects }: PageProps): ReactNode {
  const Row = ROWS[kind];
  return (
    <ul>
      {Array.from({ length: listeners }, (_, at) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: the list never changes
        <Row key={at} id={at % objects} shown={shown} />
      ))}
    </ul>
  );
}

function within(content: ReactNode): ReactNode {
  return (
    <ListenProvider url="/notify-listen">
      <Client />
      {content}
    </ListenProvider>
  );
}

/** Waits until the browser has nothing more to do. */
async function idle(): Promise<number> {
  for (let n = 0; n < 2; n++) await new Promise((done) => requestIdleCallback(done));
  return rows;
}

/** What the page is told to do. */
export const page = {
  /** The provider and the code of React are there before: they are no part of what is measured. */
  async prepare(): Promise<void> {
    root = createRoot(document.body.appendChild(document.createElement('div')));
    flushSync(() => root.render(within(null)));
    await idle();
  },
  /** All effects have run when it returns, since the update is a synchronous one. */
  mount(props: PageProps): void {
    flushSync(() => root.render(within(<Page {...props} />)));
  },
  async connected(): Promise<number> {
    await new Promise<void>((resolve) => {
      const look = (): void => {
        if (client.status().state === 'connected') resolve();
      };
      client.onStatus(look);
      look();
    });
    return idle();
  },
  idle: (): Promise<number> => idle(),
  unmount(): void {
    flushSync(() => root.render(within(null)));
  },
  /** When each callback ran. */
  ran: (): readonly number[] => runs,
};

declare global {
  interface Window {
    page: typeof page;
  }
}
window.page = page;
