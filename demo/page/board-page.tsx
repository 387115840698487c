/** The board: `board.json`, and nothing else, given to the generic page. */
import type { ReactNode } from 'react';
import description from './board.json' with { type: 'json' };
import { JsonPage } from './json-page.js';

export function BoardPage(): ReactNode {
  return <JsonPage page={description} />;
}
