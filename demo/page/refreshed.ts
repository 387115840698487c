/** What the page does with every refresh beside reading anew: it says so, here and to the stage that may hold this page. */
import type { Refresh } from 'notify-listen/react';
import { say } from './notices.js';
import { id as person } from './person.js';

/** What a page on the stage tells the stage. */
export interface DeskMessage {
  readonly desk: string;
  readonly what: 'live' | 'refreshed';
  /** What it was refreshed for. */
  readonly action?: string | undefined;
}

export function tellStage(what: DeskMessage['what'], action?: string): void {
  if (window.parent === window) return;
  const message: DeskMessage = { desk: person, what, action };
  window.parent.postMessage(message, window.location.origin);
}

/** Reads anew, then says what has happened. */
export function refreshing(reload: () => Promise<void>): (refresh: Refresh) => Promise<void> {
  return async (refresh) => {
    await reload();
    say(sentence(refresh));
    tellStage('refreshed', refresh.notification?.action);
  };
}

export function sentence({ reason, notification, object, merged }: Refresh): string {
  if (!notification) return reason === 'resync' ? 'Refreshed, in case something was missed.' : 'Refreshed.';
  const what = object.id === undefined ? 'The list' : `${object.entity} ${object.id}`;
  const by = notification.notifier ? ` by ${notification.notifier}` : '';
  const times = merged > 1 ? `, ${merged} notifications in one` : '';
  return `${what} refreshed: ${notification.action}${by}${times}.`;
}
