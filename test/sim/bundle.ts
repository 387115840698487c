/** One file of the simulator and the sources that it simulates: bundled, so that a worker starts at once and runs fast. */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const root = fileURLToPath(new URL('../..', import.meta.url));
const platform = join(root, 'test/sim/kernel/platform.ts');
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
      },
    ],
    build: {
      ssr: join(root, 'test/sim/worker.ts'),
      outDir,
      target: 'node20',
      minify: false,
      emptyOutDir: true,
      // Vendors' packages are loaded by their adapters only.
      rolldownOptions: {
        external: /^(?!\.|\/|node:)[^:]+$/,
        output: { entryFileNames: 'worker.js', codeSplitting: false },
      },
    },
  });
  return join(outDir, 'worker.js');
}
