/** Makes a copy of the sources with one bug in it. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Bug } from './bugs.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const CACHE = join(root, 'test/.cache/sim/planted');

export interface Planted {
  readonly source: string;
  remove(): void;
}

/** @throws Error when the place is not there, or there twice: the source has moved on, and the bug must follow. */
export function plantedText({ name, file, find, replace }: Bug): string {
  const text = readFileSync(join(root, file), 'utf8');
  const parts = text.split(find);
  if (parts.length !== 2) throw new Error(`${name}: ${file} holds ${parts.length - 1} times: ${find}`);
  return parts.join(replace);
}

export function plant(bug: Bug): Planted {
  const text = plantedText(bug);
  mkdirSync(CACHE, { recursive: true });
  const source = mkdtempSync(join(CACHE, 'bug-'));
  for (const room of ['adapters', 'server', 'widget'])
    cpSync(join(root, room), join(source, room), { recursive: true });
  writeFileSync(join(source, bug.file), text);
  return { source, remove: () => rmSync(source, { recursive: true, force: true }) };
}
