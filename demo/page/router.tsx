/** A router of one screen: the path below `/as/<person>`, and links that do not load the page anew. */
import { type MouseEvent, type ReactNode, useSyncExternalStore } from 'react';

const listeners = new Set<() => void>();

function subscribe(changed: () => void): () => void {
  listeners.add(changed);
  window.addEventListener('popstate', changed);
  return () => {
    listeners.delete(changed);
    window.removeEventListener('popstate', changed);
  };
}

const here = (): string => window.location.pathname + window.location.search;

/** Where the page is; renders again when that changes. */
export function useLocation(): URL {
  const at = useSyncExternalStore(subscribe, here);
  return new URL(at, window.location.origin);
}

/** Goes to a path. `replace` leaves no step to go back to: for a filter that is being typed. */
export function go(path: string, replace = false): void {
  if (replace) window.history.replaceState(null, '', path);
  else window.history.pushState(null, '', path);
  for (const changed of [...listeners]) changed();
}

interface LinkProps {
  readonly to: string;
  readonly children: ReactNode;
  readonly className?: string;
  readonly current?: boolean;
  readonly label?: string;
}

export function Link({ to, children, className, current, label }: LinkProps): ReactNode {
  const follow = (event: MouseEvent): void => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to);
  };
  return (
    <a href={to} onClick={follow} className={className} aria-current={current ? 'page' : undefined} aria-label={label}>
      {children}
    </a>
  );
}
