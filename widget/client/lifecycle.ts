/** Page visibility and the moments at which a link must not be trusted: the only place that looks at the page. */
import type { Lifecycle } from './types.js';

/** The page's lifecycle; always visible, and never waking, where there is no page (a worker, a server). */
export function pageLifecycle(): Lifecycle {
  if (typeof document === 'undefined') {
    return { visible: () => true, watch: () => () => {} };
  }
  const visible = () => document.visibilityState !== 'hidden';
  return {
    visible,
    watch(changed) {
      const life = new AbortController();
      const wake = () => changed('wake');
      document.addEventListener('visibilitychange', () => changed(visible() ? 'visible' : 'hidden'), life);
      // Back from the back/forward cache some browsers fire only `pageshow`, and the sockets are gone.
      window.addEventListener('pageshow', ({ persisted }) => persisted && wake(), life);
      window.addEventListener('online', wake, life);
      return () => life.abort();
    },
  };
}
