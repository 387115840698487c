/** Builds the package before the tests that look at what is built, unless the last build is younger than every source. */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root: string = fileURLToPath(new URL('../..', import.meta.url));

const SOURCES = [
  'adapters',
  'server',
  'widget',
  'package.json',
  'vite.config.ts',
  'tsconfig.json',
  'tsconfig.build.json',
];

function filesIn(place: string): string[] {
  const path = join(root, place);
  if (!existsSync(path)) return [];
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .map((name) => join(path, name))
    .filter((file) => statSync(file).isFile());
}

const changed = (file: string): number => statSync(file).mtimeMs;

function isFresh(): boolean {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    exports: Record<string, string | { types: string; default: string }>;
  };
  const built = Object.values(exports).flatMap((target) =>
    typeof target === 'string' ? [] : [join(root, target.types), join(root, target.default)],
  );
  if (!built.every((file) => existsSync(file))) return false;
  return Math.max(...SOURCES.flatMap(filesIn).map(changed)) < Math.min(...built.map(changed));
}

/** What `npm run build` does; throws with its output when it fails. */
export function buildPackage(): void {
  if (isFresh()) return;
  const { status, stdout, stderr } = spawnSync('npm', ['run', '--silent', 'build'], { cwd: root, encoding: 'utf8' });
  if (status !== 0) throw new Error(`the build failed\n${stdout}${stderr}`);
}
