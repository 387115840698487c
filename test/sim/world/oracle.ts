/**
 * What must hold, told without the code under test: (a) in the end every listener shows what was notified, (b) nobody hears
 * what he may not see, (c) nothing happens without cause, (d) nothing is left.
 */
import { type Channel, objectOf } from '../../../adapters/channel.js';
import type { ServerEvent, WireNotification } from '../../../adapters/protocol.js';
import type { Refresh } from '../../../widget/client/index.js';
import type { Setup } from '../history/types.js';
import type { Clock } from '../kernel/clock.js';
import { type App, channelOfPlan, type Note } from './app.js';
import type { Connection } from './network.js';
import type { Mounted, Page, Row } from './page.js';

/** How often the mechanisms ran. */
export type Mechanism = 'replay' | 'resync' | 'handOver' | 'revoke' | 'fallback' | 'stepDown';

export class Violation extends Error {
  /** Which part of the oracle it breaks. */
  readonly part: 'a' | 'b' | 'c' | 'd' | 'crash';

  constructor(part: Violation['part'], message: string) {
    super(message);
    this.part = part;
  }
}

export interface Oracle {
  readonly mechanisms: Record<Mechanism, number>;
  /** Everything that a node writes to a page comes by here. */
  heard(connection: Connection, json: string): void;
  /** Everything that a provider carries to a page. */
  carried(user: string | undefined, json: string): void;
  ran(row: Row, refresh: Refresh): void;
  /** What is still old, as text; nothing: all is well. */
  stale(pages: readonly Page[]): string | undefined;
  /** The first violation that was seen on the way. */
  readonly violation: Violation | undefined;
  violate(part: Violation['part'], message: string): void;
}

/** Whether the page of a user must refresh a row for a note. */
function concerns(note: Note, { plan }: Mounted, actions: readonly string[], user: string | undefined): boolean {
  if (note.entity !== plan.entity) return false;
  if (note.id !== undefined && plan.id !== undefined && note.id !== plan.id) return false;
  if (note.to !== undefined && note.to !== user) return false;
  if (note.except !== undefined && note.except === user) return false;
  return actions.includes('*') || actions.includes(note.action);
}

/** Whether listeners are owed a note: the log had it, or the node that was told of it still lives. */
const isOwed = (note: Note): boolean => note.position !== undefined || note.accepted === true || !note.lost;

export function createOracle(clock: Clock, app: App, setup: Setup, causes: { resync: boolean; calm: boolean }): Oracle {
  const mechanisms: Oracle['mechanisms'] = { replay: 0, resync: 0, handOver: 0, revoke: 0, fallback: 0, stepDown: 0 };
  let violation: Violation | undefined;
  // The right may have been asked just before it ended, and the answer have taken its time.
  const life = setup.grantLife + setup.access + 5_500;

  function violate(part: Violation['part'], message: string): void {
    violation ??= new Violation(part, `${message} (at ${clock.now()} ms)`);
  }

  function checkHearing(user: string | undefined, wire: WireNotification, carried: boolean): void {
    if (user === undefined) {
      violate('b', 'somebody who is not logged in hears a notification');
      return;
    }
    const { entity, id, position } = wire;
    const may = (channel: Channel): boolean => app.mayHear(user, channel, position, life, carried);
    const note = app.noteAt(position);
    const what = `${user} hears ${entity}${id === undefined ? '' : `/${id}`} at ${position}`;
    if (wire.to) {
      // Merged ones stand for others of the same address.
      if (note && note.to !== user) violate('b', `${what}, which is addressed to ${note.to}`);
      return;
    }
    if (note?.to !== undefined) violate('b', `${what}, which is addressed to ${note.to}`);
    const reduced = wire.changedDate === undefined;
    if (reduced && id !== undefined) violate('b', `${what}: a reduced form with an id`);
    else if (reduced) {
      if (!may(entity)) violate('b', `${what}, a list that it may not see`);
    } else if (id !== undefined) {
      if (!may(channelOfPlan({ entity, id }))) violate('b', `${what}, an object that it may not see`);
    } else {
      const any = [entity, ...OBJECTS.filter((channel) => objectOf(channel)?.entity === entity)];
      if (!any.some(may)) violate('b', `${what}, of which it may see nothing`);
    }
  }

  return {
    mechanisms,
    get violation() {
      return violation;
    },
    violate,
    heard(connection, json) {
      const has = (type: string): boolean => json.includes(`"type":"${type}"`);
      const opens = has('ready');
      if (has('resync')) mechanisms.resync += 1;
      if (!opens && (has('reauthorise') || has('refused'))) mechanisms.revoke += 1;
      if (!has('notification')) return;
      if (opens) mechanisms.replay += 1;
      const events: ServerEvent[] = json.startsWith('{"events"') ? JSON.parse(json).events : JSON.parse(`[${json}]`);
      for (const event of events)
        if (event.type === 'notification') checkHearing(connection.user, event.notification, false);
    },
    carried(user, json) {
      const message = JSON.parse(json) as WireNotification;
      if (message.entity !== undefined) checkHearing(user, message, true);
    },
    ran(row, refresh) {
      row.runs[refresh.reason] += 1;
      if (refresh.reason === 'resync' && !causes.resync)
        violate('c', `tab ${row.listener.page.index} refreshes ${channelOfPlan(row.listener.plan)} for a resync`);
      const { page, plan } = row.listener;
      if (!page.alive) violate('d', `a callback of tab ${page.index} runs after it was closed`);
      if (refresh.reason === 'notification' && refresh.notification) {
        const { notification } = refresh;
        const user = page.user();
        // A former user's stream ends with its grants at the latest.
        if (!notification.to && user !== undefined && clock.now() - page.browser.since > life) {
          const channel = channelOfPlan(plan);
          // A run may wait for a person to look; it must not be of something that came past the bound.
          const note = app.noteAt(notification.position);
          if (note?.to !== undefined) {
            if (note.to !== user) violate('b', `tab ${page.index} runs for a note to ${note.to}`);
            return;
          }
          if (
            note &&
            !app.may(user, channel) &&
            !app.mayHear(user, channel, notification.position, life + 90_000, setup.provider)
          )
            violate('b', `tab ${page.index} (${user}) runs ${channel} for ${notification.position}`);
        }
      }
    },
    stale(pages) {
      for (const page of pages) {
        if (!page.alive) continue;
        for (const listener of page.listeners) {
          if (!listener.listening || !app.may(page.user(), channelOfPlan(listener.plan))) continue;
          for (const row of listener.rows) {
            for (let n = app.notes.length - 1; n >= 0; n--) {
              const note = app.notes[n] as Note;
              if (!isOwed(note) || !concerns(note, listener, row.actions, page.user())) continue;
              if (row.shown >= note.commit) break;
              const status = page.client?.status();
              return (
                `tab ${page.index} shows ${channelOfPlan(listener.plan)} as of change ${row.shown}, ` +
                `but change ${note.commit} was notified at ${note.at} ms (${note.position ?? 'not in the log'}); ` +
                `status ${status?.state} ${status?.via ?? ''}${status?.degraded ? ' degraded' : ''}` +
                `${listener.listening.error ? `, ${listener.listening.error.code}` : ''}`
              );
            }
          }
        }
      }
      return undefined;
    },
  };
}

/** The objects of all histories. */
export const OBJECTS: readonly Channel[] = ['A/1', 'A/2', 'A/3', 'B/1', 'B/2'];
