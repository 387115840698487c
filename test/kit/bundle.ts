/** Bundles an entry point as an application for production would, and says what a visitor downloads, and when. */
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
  /** What is loaded when it is needed gets files of its own, as in an application. Default: all is in one. */
  readonly split?: boolean;
}

export interface Bundle {
  /** Of all chunks. */
  readonly code: string;
  /** The files that are in it, from the root. */
  readonly files: readonly string[];
  /** Of what is loaded at once, after `gzip -9`, in bytes; and before it. */
  readonly size: number;
  readonly minified: number;
  /** The chunks that are loaded when they are needed, each by its name. */
  readonly lazy: readonly { readonly name: string; readonly size: number; readonly minified: number }[];
}

export async function bundle(root: string, options: BundleOptions): Promise<Bundle> {
  const { entry, mode = 'production', format = 'module', split = false } = options;
  const isExternal = (id: string): boolean => /^react(-dom)?(\/|$)/.test(id) || (options.external?.(id) ?? false);
  const result = (await build({
    root,
    configFile: false,
    logLevel: 'error',
    // In development the words stay as they are, which is also what a page without a bundler loads.
    define: { 'process.env.NODE_ENV': mode === 'production' ? '"production"' : 'process.env.NODE_ENV' },
    build: {
      // As if for a server: for pages Vite adds a preloading helper of its own (1 kB), which an application with any lazy
      // chunk has already and other bundlers do not have. The code is the same.
      ssr: true,
      write: false,
      target: 'es2022',
      minify: mode === 'production' && 'oxc',
      modulePreload: false,
      rolldownOptions: {
        input: entry,
        // Chunks may import from the entry, as they do from the application that bundles it.
        preserveEntrySignatures: split ? 'allow-extension' : 'strict',
        external: isExternal,
        output: {
          format: format === 'script' ? 'iife' : 'es',
          name: 'entry',
          globals: { react: 'React', 'react/jsx-runtime': 'jsxRuntime' },
          ...(!split && { codeSplitting: false }),
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
  const atOnce = new Set(chunks.filter((chunk) => chunk.isEntry));
  for (const { imports } of atOnce) for (const chunk of chunks) if (imports.includes(chunk.fileName)) atOnce.add(chunk);
  const first = [...atOnce].map((chunk) => chunk.code).join('\n');
  return {
    code,
    files,
    size: zipped(first),
    minified: Buffer.byteLength(first),
    lazy: chunks
      .filter((chunk) => !atOnce.has(chunk))
      .map(({ name, code }) => ({ name, size: zipped(code), minified: Buffer.byteLength(code) })),
  };
}

const zipped = (code: string): number => gzipSync(code, { level: 9 }).length;
