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
import type { Client, Connection } from './network.js';
import type { Mounted, Page, Row } from './page.js';

/** How often the mechanisms ran. */
export type Mechanism = 'replay' | 'resync' | 'handOver' | 'revoke' | 'fallback' | 'stepDown';

/** A page that asks more often than this is in a loop: the first waits of the back-off are short, for each of the routes. */
const PERIOD = 10_000;
const MOST_REQUESTS = 60;
/** How long a page takes to read what came while it was frozen, and to run for it, in milliseconds. */
const THAWING = 2_000;
/** The scheduler's window, and what lies too far apart for one burst, in milliseconds. */
const WINDOW = 100;
const APART = 400;

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
  /** A page asks for something. */
  asked(client: Client): void;
  /** In the end: whether more has happened than had a cause. */
  checkCauses(pages: readonly Page[]): void;
  /** What is still old, as text; nothing: all is well. */
  stale(pages: readonly Page[]): string | undefined;
  /** The first violation that was seen on the way. */
  readonly violation: Violation | undefined;
  violate(part: Violation['part'], message: string): void;
}

/** Whether a note is about what a row listens to, whoever hears it. */
function isAbout(note: Note, { plan }: Mounted, actions: readonly string[]): boolean {
  if (note.entity !== plan.entity) return false;
  if (note.id !== undefined && plan.id !== undefined && note.id !== plan.id) return false;
  return actions.includes('*') || actions.includes(note.action);
}

/** Whether the page of a user must refresh a row for a note. */
function concerns(note: Note, listener: Mounted, actions: readonly string[], user: string | undefined): boolean {
  if (note.to !== undefined && note.to !== user) return false;
  if (note.except !== undefined && note.except === user) return false;
  return isAbout(note, listener, actions);
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

  const busy = new Map<Client, { period: number; count: number }>();

  /** No run without a notification of its own, and in a calm history no more than the window allows. */
  function checkRow(page: Page, listener: Mounted, row: Row, calm: boolean): void {
    const what = `tab ${page.index} ran ${channelOfPlan(listener.plan)} ${row.actions.join()}`;
    // Whoever it was addressed to: the user may be another one by now, and a merge forgets whom it excepted.
    let copies = 0;
    for (const note of app.notes) if (isAbout(note, listener, row.actions)) copies += note.copies;
    if (row.merged > copies && !setup.provider)
      violate('c', `${what} for ${row.merged} notifications, but there were ${copies}`);
    if (!calm) return;
    const news = app.notes.filter((note) => concerns(note, listener, row.actions, page.user()));
    const { notification, load } = row.runs;
    let allowed = 0;
    for (let n = 0; n < news.length; ) {
      const first = news[n] as Note;
      let last = first;
      let count = 0;
      for (; n < news.length && (news[n] as Note).at - last.at < APART; n++) {
        last = news[n] as Note;
        count += 1;
      }
      // One at once, one at the end of each window, and the one that trails.
      allowed += Math.min(count, 2 + Math.ceil((last.at - first.at) / WINDOW));
    }
    if (notification > allowed) violate('c', `${what} ${notification} times, but ${allowed} were enough`);
    const loading = news.some(({ at }) => at >= row.loadedAt - 1_000 && at < row.loadedAt + 2_000);
    if (load > (loading ? 1 : 0)) violate('c', `${what} ${load} times for changes during its load`);
  }

  /** Without a fault every request has a reason: one question each at the start, and one for each renewal. */
  function checkRequests(page: Page): void {
    const { config = 0, auth = 0, stream = 0 } = page.requests;
    const renewals = Math.ceil(clock.now() / (0.6 * setup.grantLife));
    // Who joins the leader makes it open another stream, for all.
    const tabs = setup.sharing ? setup.tabs.length : 1;
    if (config > 1 || auth > 1 + renewals || stream > tabs * (1 + renewals))
      violate('c', `tab ${page.index} asks too much: ${JSON.stringify(page.requests)}`);
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
        // A page that was frozen reads first what had come before: its server had sent that to whom it may concern.
        const read = clock.now() - page.owner.thawed < THAWING;
        if (!notification.to && user !== undefined && !read && clock.now() - page.browser.since > life) {
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
    asked(client) {
      const period = Math.floor(clock.now() / PERIOD);
      const asked = busy.get(client);
      if (asked?.period !== period) {
        busy.set(client, { period, count: 1 });
        return;
      }
      asked.count += 1;
      if (asked.count > MOST_REQUESTS)
        violate('c', `${client.owner.name} sends more than ${MOST_REQUESTS} requests within ${PERIOD} ms`);
    },
    checkCauses(pages) {
      for (const page of pages) {
        for (const listener of page.listeners)
          for (const row of listener.rows) checkRow(page, listener, row, causes.calm);
        if (causes.calm) checkRequests(page);
      }
    },
    stale(pages) {
      for (const page of pages) {
        if (!page.alive || page.owner.frozen) continue;
        for (const listener of page.listeners) {
          if (!listener.listening || !app.may(page.user(), channelOfPlan(listener.plan))) continue;
          for (const row of listener.rows) {
            if (row.reader !== page.user())
              return `tab ${page.index} shows ${channelOfPlan(listener.plan)} as ${row.reader} read it, not ${page.user()}`;
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
