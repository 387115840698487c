/** Shows any page that is described by JSON. Its rows name callbacks; the few that there are stand here. */
import { type ActionRow, type CallbackRegistry, Listen } from 'notify-listen/react';
import { type ReactNode, useState } from 'react';
import type { Figure } from '../server/orders.js';
import { post } from './api.js';
import { say } from './notices.js';
import { sentence, tellStage } from './refreshed.js';
import { useFlash } from './use-flash.js';
import { useLoaded } from './use-loaded.js';

export interface PageDescription {
  readonly title: string;
  readonly intro: string;
  /** What to load from the API: lists of figures by name. */
  readonly load: string;
  readonly listen: {
    readonly object: { readonly entity: string; readonly id?: string };
    readonly actions: readonly ActionRow[];
  };
  readonly blocks: readonly Block[];
}

export interface Block {
  /** `figures`, `bars`, `list`, `counter` or `button`. */
  readonly kind: string;
  readonly title: string;
  /** Which of the loaded lists it shows. */
  readonly from?: string;
  /** Where a button posts to. */
  readonly post?: string;
}

type Lists = Readonly<Record<string, readonly Figure[]>>;

export function JsonPage({ page }: { readonly page: PageDescription }): ReactNode {
  const { data, error, loadedAt, reload } = useLoaded<Lists>(page.load);
  const [counted, setCounted] = useState(0);
  const callbacks: CallbackRegistry = {
    reload,
    announce: (refresh) => {
      say(sentence(refresh));
      tellStage('refreshed', refresh.notification?.action);
    },
    count: ({ merged }) => setCounted((count) => count + merged),
  };
  return (
    <>
      <Listen object={page.listen.object} actions={page.listen.actions} callbacks={callbacks} loadedAt={loadedAt} />
      <div className="heading">
        <h1>{page.title}</h1>
      </div>
      <p className="muted">{page.intro}</p>
      {error && <p role="alert">{error}</p>}
      <div className="blocks">
        {page.blocks.map((block) => (
          <section key={block.title} className={`card block-${block.kind}`}>
            <BlockView block={block} figures={data?.[block.from ?? ''] ?? []} counted={counted} />
          </section>
        ))}
      </div>
      <details className="source">
        <summary>The JSON of this page</summary>
        <pre>{JSON.stringify(page, null, 2)}</pre>
      </details>
    </>
  );
}

interface BlockProps {
  readonly block: Block;
  readonly figures: readonly Figure[];
  readonly counted: number;
}

function BlockView({ block, figures, counted }: BlockProps): ReactNode {
  const most = Math.max(1, ...figures.map(({ value = 0 }) => value));
  switch (block.kind) {
    case 'figures':
      return (
        <>
          <h2>{block.title}</h2>
          <dl className="figures">
            {figures.map((figure) => (
              <FigureView key={figure.label} figure={figure} />
            ))}
          </dl>
        </>
      );
    case 'bars':
      return (
        <>
          <h2>{block.title}</h2>
          <ul className="bars">
            {figures.map(({ label, value = 0 }) => (
              <li key={label}>
                <span>{label}</span>
                <meter max={most} value={value} aria-label={label} />
                <span className="number">{value}</span>
              </li>
            ))}
          </ul>
        </>
      );
    case 'list':
      return (
        <>
          <h2>{block.title}</h2>
          <ol className="plain">
            {figures.map(({ label }, index) => (
              // biome-ignore lint/suspicious/noArrayIndexKey: lines without a key of their own, shown anew as a whole
              <li key={index}>{label}</li>
            ))}
          </ol>
        </>
      );
    case 'counter':
      return (
        <>
          <h2>{block.title}</h2>
          <p className="count" data-counted={counted}>
            {counted}
          </p>
        </>
      );
    case 'button':
      return (
        <button type="button" onClick={() => void post(block.post ?? '').catch((error: Error) => say(error.message))}>
          {block.title}
        </button>
      );
    default:
      return <p role="alert">Unknown block: {block.kind}</p>;
  }
}

function FigureView({ figure: { label, value } }: { readonly figure: Figure }): ReactNode {
  return (
    <div className={useFlash(value)}>
      <dt>{label}</dt>
      <dd>{value}</dd>
    </div>
  );
}
