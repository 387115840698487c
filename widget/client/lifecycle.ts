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
      const gone = () => changed('gone');
      const wake = () => changed('wake');
      document.addEventListener('visibilitychange', () => changed(visible() ? 'visible' : 'hidden'), life);
      // Never `unload` or `beforeunload`: with them a page may not enter the back/forward cache.
      addEventListener('pagehide', gone, life);
      document.addEventListener('freeze', gone, life);
      document.addEventListener('resume', wake, life);
      // Back from the back/forward cache some browsers fire only `pageshow`.
      addEventListener('pageshow', ({ persisted }) => persisted && wake(), life);
      addEventListener('online', wake, life);
      return () => life.abort();
    },
  };
}
