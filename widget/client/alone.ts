/** For development: counts the tabs of this browser where each has a connection of its own, and warns when many have. */

/** Over HTTP/1.1 a browser opens six connections to a site; the seventh request waits. */
const MANY = 5;

/** Asks the other tabs once, and answers those that come. */
export function countTabs(): void {
  if (typeof document === 'undefined' || !globalThis.BroadcastChannel || globalThis.navigator?.locks) return;
  const channel = new BroadcastChannel('notify-listen/alone');
  // All tabs hear every answer: those to somebody else's question must not be counted.
  const question = Math.random();
  let others = 0;
  channel.onmessage = ({ data: { asks, here } }) => {
    if (asks) channel.postMessage({ here: asks });
    else if (here === question && ++others === MANY)
      console.warn(
        'notify-listen: each of these tabs holds a connection of its own, and a browser opens six to a site over HTTP/1.1. ' +
          'Serve the page over HTTPS (or from localhost), so that they share one; or serve it over HTTP/2.',
      );
  };
  channel.postMessage({ asks: question });
}
