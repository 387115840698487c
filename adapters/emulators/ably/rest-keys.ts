/** REST routes of keys, of time, and of the provisioner. */
import type { AppSpec, Apps } from './apps.js';
import { AblyError } from './errors.js';
import type { Realtime } from './realtime.js';
import type { Route } from './rest.js';
import { names, type Revocation, type Revocations } from './revocations.js';
import type { createTokenDesk } from './tokens.js';
import { findKey } from './tokens.js';

export interface KeyRoutes {
  readonly apps: Apps;
  readonly desk: ReturnType<typeof createTokenDesk>;
  readonly revocations: Revocations;
  readonly sessions: Realtime['sessions'];
  now(): number;
  setTimeout(run: () => void, ms: number): void;
  /** Where provisioned apps are reached. */
  address(): { readonly endpoint: string; readonly port: number; readonly tls: boolean };
}

const REVOKED = new AblyError(40141, 'token revoked', 401).info;

/** Ends the connections that a revocation concerns; those who were given time are asked for another token first. */
export function enforce(
  revocation: Revocation,
  { sessions, now, setTimeout }: Pick<KeyRoutes, 'sessions' | 'now' | 'setTimeout'>,
): void {
  const concerned = () =>
    [...sessions.values()].filter(({ live, caller }) => live && caller.token && names(revocation, caller.token));
  const wait = revocation.appliesAt - now();
  if (wait > 0) {
    for (const session of concerned()) session.askForToken();
    setTimeout(() => enforce({ ...revocation, appliesAt: now() }, { sessions, now, setTimeout }), wait);
  } else for (const session of concerned()) session.refuse(REVOKED);
}

export function keyRoutes(options: KeyRoutes): readonly Route[] {
  const { apps, desk, revocations } = options;
  return [
    { method: 'GET', path: /^\/time$/, answer: () => ({ body: [options.now()] }) },
    // Where the vendor's clients ask whether there is a network at all.
    { method: 'GET', path: /^\/is-the-internet-up\.txt$/, answer: () => ({ body: 'yes' }) },
    {
      method: 'POST',
      path: /^\/keys\/([^/]+)\/requestToken$/,
      answer(call) {
        const { key } = findKey(apps.get, call.path[0] ?? '');
        const request = (call.body() ?? {}) as Record<string, unknown>;
        // With the key itself nothing has to be signed.
        const isSigned = call.anonymous || request.mac !== undefined;
        if (!isSigned && call.caller().key !== key)
          throw new AblyError(40101, 'the key is another one than in the path', 401);
        return { status: 201, body: desk.request(key, request, isSigned) };
      },
    },
    {
      method: 'POST',
      path: /^\/keys\/([^/]+)\/revokeTokens$/,
      answer(call) {
        const caller = call.caller();
        if (caller.token) throw new AblyError(40162, 'tokens are revoked with a key, not with a token', 401);
        if (caller.key.name !== call.path[0]) throw new AblyError(40133, 'wrong key to revoke these tokens', 401);
        const { results, made } = revocations.take(caller.key, call.body());
        for (const revocation of made) enforce(revocation, options);
        const successCount = made.length;
        const isOld = Number(call.version.split('.')[0]) < 3;
        return {
          status: 201,
          body: isOld ? results : { successCount, failureCount: results.length - successCount, results },
        };
      },
    },
    {
      method: 'POST',
      path: /^\/apps$/,
      answer: (call) => ({
        status: 201,
        body: { ...apps.provision((call.body() ?? {}) as AppSpec), ...options.address() },
      }),
    },
    {
      method: 'DELETE',
      path: /^\/apps\/([^/]+)$/,
      answer(call) {
        const { app } = call.caller();
        if (app.id !== call.path[0]) throw new AblyError(40101, 'the key is of another app', 401);
        for (const session of [...options.sessions.values()]) if (session.caller.app === app) session.end();
        apps.remove(app.id);
        return {};
      },
    },
    {
      // Nothing is counted by the minute; the list is true, and empty.
      method: 'GET',
      path: /^\/stats$/,
      answer(call) {
        call.caller();
        return { body: [] };
      },
    },
  ];
}
