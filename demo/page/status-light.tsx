/** The state of the connection, as a light and in words. */
import { type ListenStatus, useListenStatus } from 'notify-listen/react';
import { type ReactNode, useEffect, useState } from 'react';
import { tellStage } from './refreshed.js';

const WORDS: Readonly<Record<ListenStatus['state'], string>> = {
  initial: 'Not listening',
  connecting: 'Connecting',
  connected: 'Live',
  reconnecting: 'Reconnecting',
  disconnected: 'Paused',
  failed: 'Not live',
};

const REASONS: Readonly<Record<string, string>> = {
  forbidden: 'You have no right to listen: this page does not refresh by itself.',
  unauthenticated: 'Nobody is logged in.',
  upgrade: 'This page is older than the server: load it again.',
};

export function StatusLight(): ReactNode {
  const status = useListenStatus();
  const wait = useSecondsUntil(status.retryAt);
  const live = status.state === 'connected';
  useEffect(() => {
    if (live) tellStage('live');
  }, [live]);
  const reason = status.state === 'connected' ? undefined : REASONS[status.error?.code ?? ''];
  const words = status.degraded && status.state === 'connected' ? 'Degraded' : WORDS[status.state];
  return (
    <span className={`light light-${status.degraded ? 'degraded' : status.state}`} title={reason ?? titleOf(status)}>
      <span className="lamp" aria-hidden="true" />
      <span role="status" data-state={status.state}>
        {words}
        {reason && <span className="unseen">. {reason}</span>}
      </span>
      {live && <small className="via">{status.via}</small>}
      {wait > 0 && <small aria-hidden="true">{wait} s</small>}
    </span>
  );
}

function titleOf({ via, state, error, degraded }: ListenStatus): string {
  const way = via === 'poll' ? 'long polling' : via;
  if (state === 'connected' && degraded) return `Refreshes by itself (${way}), but not the configured way or unproved`;
  if (state === 'connected') return `Refreshes by itself (${way})`;
  return error?.message ?? WORDS[state];
}

/** Whole seconds until a moment; 0 when there is none or it is over. */
function useSecondsUntil(moment: number | undefined): number {
  const [now, setNow] = useState(() => Date.now());
  useEffect(() => {
    if (moment === undefined) return;
    setNow(Date.now());
    const tick = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(tick);
  }, [moment]);
  return moment === undefined ? 0 : Math.max(0, Math.ceil((moment - now) / 1000));
}
