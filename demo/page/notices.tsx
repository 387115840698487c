/** What the page says aloud: one line, read by screen readers, gone after a moment. */
import { type ReactNode, useEffect } from 'react';
import { createStore, useStore } from './store.js';

const SHOWN_MS = 6000;

const notice = createStore<{ readonly text: string; readonly key: number }>({ text: '', key: 0 });

export function say(text: string): void {
  notice.set({ text, key: notice.get().key + 1 });
}

export function Notice(): ReactNode {
  const { text, key } = useStore(notice);
  useEffect(() => {
    if (key === 0 || !text) return;
    const gone = setTimeout(() => notice.set({ text: '', key }), SHOWN_MS);
    return () => clearTimeout(gone);
  }, [text, key]);
  return (
    <p className="notice" role="status" aria-live="polite">
      {text && <span key={key}>{text}</span>}
    </p>
  );
}
