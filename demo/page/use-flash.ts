/** A class that lets an element flash gently whenever its value has changed. */
import { useState } from 'react';

/**
 * @param value Flashes when it is another than before.
 * @param born Flashes already when it appears.
 */
export function useFlash(value: unknown, born = false): string {
  const [seen, setSeen] = useState({ value, turn: born ? 1 : 0 });
  // Two classes with equal animations take turns: an animation starts anew only under another name.
  if (seen.value !== value) setSeen({ value, turn: seen.turn + 1 });
  return seen.turn === 0 ? '' : seen.turn % 2 === 0 ? 'flash-even' : 'flash-odd';
}
