/** One file of the simulator and the sources that it simulates: bundled, so that a worker starts at once and runs fast. */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const root = fileURLToPath(new URL('../..', import.meta.url));
const platform = join(root, 'test/sim/kernel/platform.ts');
/**
 * `{ ...one, two: 2 }` is compiled to a helper, and the helper to an assignment: Node 20 takes two microseconds for each key
 * behind a spread, which would be half of the time that a history takes. What else the compiler writes for an older
 * platform is written back.
 */
function quickSpreads(code: string): string {
  const helper = (name: string, body: string) => (text: string) => {
    const quick = text.replace(new RegExp(`^function ${name}\\(.*?^}$`, 'ms'), body);
    if (quick === text && text.includes(`${name}(`)) throw new Error(`${name}: the compiler writes it in another way`);
    return quick;
  };
  const spread = helper('_objectSpread2', 'const _objectSpread2 = Object.assign;');
  const rest = helper(
    '_objectWithoutProperties',
    `function _objectWithoutProperties(from, without) {
  const rest = {};
  for (const key in from) if (!without.includes(key)) rest[key] = from[key];
  return rest;
}`,
  );
  return (
    rest(spread(code))
      // The fields of classes.
      .replace(/_defineProperty\(this, "(\w+)", /g, 'set(this.$1 = ')
      .replace(/\bset\(this\.(\w+ = .*)\);$/gm, 'this.$1;')
      // A literal is compiled once.
      .replace(/new RegExp\(("(?:[^"\\]|\\.)*"), "s"\)/g, (_, text: string) => `/${JSON.parse(text)}/s`)
  );
}

/** What is under test; the rest of the simulator is always this one. */
const ROOMS = /^(adapters|server|widget)\//;

/**
 * Builds the worker.
 *
 * @param source the folder of the sources: this package's, or a copy of `adapters`, `server` and `widget` elsewhere
 * @returns the path of the file
 */
export async function bundleWorker(source: string = root): Promise<string> {
  const from = resolve(source);
  // Of this process alone: others may be at it, and the sources may have changed since.
  const cache = join(root, 'test/.cache/sim');
  mkdirSync(cache, { recursive: true });
  const outDir = mkdtempSync(join(cache, 'worker-'));
  process.once('exit', () => rmSync(outDir, { recursive: true, force: true }));
  await build({
    configFile: false,
    root,
    logLevel: 'error',
    oxc: { target: 'es2017', assumptions: { setPublicClassFields: true } },
    plugins: [
      {
        name: 'sources',
        enforce: 'pre',
        resolveId(id, importer) {
          if (id === 'node:crypto' && importer && !importer.startsWith(join(root, 'test'))) return platform;
          if (!importer || !id.startsWith('.')) return null;
          const target = resolve(dirname(importer), id);
          const inside = relative(root, target);
          if (!ROOMS.test(inside)) return null;
          const typed = join(from, inside).replace(/\.js$/, '.ts');
          return existsSync(typed) ? typed : null;
        },
        renderChunk: quickSpreads,
      },
    ],
    build: {
      ssr: join(root, 'test/sim/worker.ts'),
      outDir,
      target: 'es2017',
      minify: false,
      emptyOutDir: true,
      // Vendors' packages are loaded by their adapters only.
      rolldownOptions: {
        external: (id) => !/^[./\0]|^node:|^@oxc-project/.test(id),
        output: { entryFileNames: 'worker.js', codeSplitting: false },
      },
    },
  });
  return join(outDir, 'worker.js');
}
