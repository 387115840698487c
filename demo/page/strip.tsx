/** The last notifications and what became of each. Open where there is room for it. */
import type { ReactNode } from 'react';
import { useStore } from './store.js';
import { told } from './trace-store.js';
import { timeOfDay } from './words.js';

const SHOWN = 8;
const ROOMY = window.innerWidth >= 560 && window.innerHeight >= 700;

export function Strip(): ReactNode {
  const lines = useStore(told);
  const newest = lines[0];
  return (
    <details className="strip" open={ROOMY}>
      <summary>
        <span className="strip-title">Notifications</span>
        {newest ? (
          <span className="strip-newest">
            <span>
              {newest.listener}: {newest.what}
            </span>
            <Fates fates={newest.fates} />
          </span>
        ) : (
          <span className="strip-newest">none yet</span>
        )}
      </summary>
      {!newest && (
        <p className="muted">None yet. What somebody changes appears here, with what this page made of it.</p>
      )}
      <ol aria-label="The last notifications, newest first">
        {lines.slice(0, SHOWN).map((line) => (
          <li key={line.key}>
            <time>{timeOfDay(line.at)}</time>
            <span>
              {line.listener}: {line.what}
            </span>
            <Fates fates={line.fates} />
          </li>
        ))}
      </ol>
    </details>
  );
}

function Fates({ fates }: { readonly fates: readonly string[] }): ReactNode {
  return (
    <span className="fates">
      {fates.map((fate) => (
        <span key={fate} className={`fate fate-${fate}`}>
          {fate}
        </span>
      ))}
    </span>
  );
}
