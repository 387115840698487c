/** Bundles an entry point as an application for production would, and says what a visitor downloads. */
import { gzipSync } from 'node:zlib';
import { build, type Rolldown } from 'vite';

export interface BundleOptions {
  /** A source file, from the root. */
  readonly entry: string;
  /** Left out: loaded separately, or not at all. */
  readonly external?: (id: string) => boolean;
  /** `development`: nothing is replaced or minified. Default `production`. */
  readonly mode?: 'production' | 'development';
  /** `script`: the exports become the global `entry`, React is a global. Default `module`. */
  readonly format?: 'module' | 'script';
}

export interface Bundle {
  readonly code: string;
  /** The files that are in it, from the root. */
  readonly files: readonly string[];
  /** Of the code after `gzip -9`, in bytes. */
  readonly size: number;
}

export async function bundle(root: string, options: BundleOptions): Promise<Bundle> {
  const { entry, mode = 'production', format = 'module' } = options;
  const isExternal = (id: string): boolean => /^react(-dom)?(\/|$)/.test(id) || (options.external?.(id) ?? false);
  const result = (await build({
    root,
    configFile: false,
    logLevel: 'error',
    // In development the words stay as they are, which is also what a page without a bundler loads.
    define: { 'process.env.NODE_ENV': mode === 'production' ? '"production"' : 'process.env.NODE_ENV' },
    build: {
      write: false,
      target: 'es2022',
      minify: mode === 'production' && 'oxc',
      modulePreload: false,
      rolldownOptions: {
        input: entry,
        preserveEntrySignatures: 'strict',
        external: isExternal,
        output: {
          format: format === 'script' ? 'iife' : 'es',
          name: 'entry',
          globals: { react: 'React', 'react/jsx-runtime': 'jsxRuntime' },
          codeSplitting: false,
        },
      },
    },
  })) as Rolldown.RolldownOutput | Rolldown.RolldownOutput[];
  const chunks = [result]
    .flat()
    .flatMap(({ output }) => output)
    .filter((output): output is Rolldown.OutputChunk => output.type === 'chunk');
  const code = chunks.map((chunk) => chunk.code).join('\n');
  const files = chunks.flatMap((chunk) => chunk.moduleIds).map((id) => id.replace(root, '').replace(/^\//, ''));
  return { code, files, size: gzipSync(code, { level: 9 }).length };
}
