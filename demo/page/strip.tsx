/** The last notifications and what became of each. Open where there is room for it. */
import type { ReactNode } from 'react';
import { useStore } from './store.js';
import { told } from './trace-store.js';
import { timeOfDay } from './words.js';

const SHOWN = 8;

export function Strip(): ReactNode {
  const lines = useStore(told);
  const newest = lines[0];
  return (
    <details className="strip">
      <summary>
        <span className="strip-title">Notifications</span>
        {newest ? (
          <span className="strip-newest">
            {newest.listener}: {newest.what}
            <Fates fates={newest.fates} />
          </span>
        ) : (
          <span className="strip-newest">none yet</span>
        )}
      </summary>
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
