/** One person's desk: header, the page that the path names, and the strip of the last notifications. */
import { ListenProvider } from 'notify-listen/react';
import { type ReactNode, useEffect, useRef, useState } from 'react';
import type { Person } from '../server/people.js';
import { get } from './api.js';
import { BoardPage } from './board-page.js';
import { client } from './listening.js';
import { Notice } from './notices.js';
import { OrderPage } from './order-page.js';
import { OrdersPage } from './orders-page.js';
import { base, me } from './person.js';
import { ReportsPage } from './reports-page.js';
import { Link, useLocation } from './router.js';
import { SignIn } from './sign-in.js';
import { StatusLight } from './status-light.js';
import { useStore } from './store.js';
import { Strip } from './strip.js';

const PAGES = [
  ['orders', 'Orders'],
  ['reports', 'Reports'],
  ['board', 'Board'],
] as const;

export function Desk({ person }: { readonly person: string }): ReactNode {
  const who = useStore(me);
  const [unreachable, setUnreachable] = useState(false);
  useEffect(() => {
    if (person && me.get() === undefined) get<Person | null>('me').then(me.set, () => setUnreachable(true));
  }, [person]);
  if (!person || who === null) return <SignIn />;
  if (!who)
    return (
      <p className="waiting">
        {unreachable ? 'The server does not answer. Load the page again.' : 'Opening the desk…'}
      </p>
    );
  return (
    <ListenProvider client={client}>
      <div className="desk">
        <a className="skip" href="#main">
          Skip to the content
        </a>
        <Header person={who} />
        <Main person={who} />
        <footer className="foot">
          <Notice />
          <Strip />
        </footer>
      </div>
    </ListenProvider>
  );
}

function Header({ person }: { readonly person: Person }): ReactNode {
  const { pathname } = useLocation();
  useEffect(() => {
    document.title = `${person.name}’s order desk`;
  }, [person]);
  return (
    <header className="top">
      <a className="who" href="/as" aria-label={`${person.name}'s desk. Change person`} title={person.about}>
        <span className={`avatar avatar-${person.id}`} aria-hidden="true">
          {person.name.charAt(0)}
        </span>
        <span>{person.name}</span>
      </a>
      <nav aria-label="Pages">
        {PAGES.map(([path, title]) => (
          <Link key={path} to={`${base}/${path}`} current={pathname.startsWith(`${base}/${path}`)}>
            {title}
          </Link>
        ))}
      </nav>
      <StatusLight />
    </header>
  );
}

function Main({ person }: { readonly person: Person }): ReactNode {
  const { pathname } = useLocation();
  const main = useRef<HTMLElement>(null);
  const first = useRef(pathname);
  useEffect(() => {
    // After a step to another page the keyboard starts at its beginning, as after a page load.
    if (first.current !== pathname) main.current?.focus();
    first.current = pathname;
  }, [pathname]);
  const [, , , page, id] = pathname.split('/');
  return (
    <main id="main" ref={main} tabIndex={-1}>
      {page === 'reports' ? (
        <ReportsPage />
      ) : page === 'board' ? (
        <BoardPage />
      ) : id ? (
        <OrderPage key={id} id={id} person={person} />
      ) : (
        <OrdersPage person={person} />
      )}
    </main>
  );
}
