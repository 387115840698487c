/** How the package is built (one build for all entry points) and how its tests run (one project for each world). */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig, type TestProjectInlineConfiguration, type ViteUserConfig } from 'vitest/config';

const path = (relative: string): string => fileURLToPath(new URL(relative, import.meta.url));

/** The entry points by their place in `dist`, which is that of their source: the exports and the bin of package.json. */
export function entryPoints(): Record<string, string> {
  const { exports, bin } = JSON.parse(readFileSync(path('package.json'), 'utf8')) as {
    exports: Record<string, string | { default: string }>;
    bin: Record<string, string>;
  };
  const exported = Object.values(exports).flatMap((target) => (typeof target === 'string' ? [] : [target.default]));
  const places = [...exported, ...Object.values(bin)].map((file) => file.replace(/^\.\/dist\/|\.js$/g, ''));
  return Object.fromEntries(places.map((place) => [place, path(`${place}.ts`)]));
}

/** The testing library's ES module, through Vite: its CommonJS would require the root's React past the aliases. */
const testingLibrary = {
  find: /^@testing-library\/react$/,
  replacement: path('node_modules/@testing-library/react/dist/@testing-library/react.esm.js'),
};
const oldestReact = {
  find: /^(react|react-dom)(\/.*)?$/,
  replacement: `${path('test/peers/oldest/node_modules/')}$1$2`,
};

function project(
  name: string,
  folder: string,
  test: TestProjectInlineConfiguration['test'],
  alias: { find: RegExp; replacement: string }[] = [],
): TestProjectInlineConfiguration {
  return {
    extends: true,
    resolve: { alias },
    test: { name, include: [`test/${folder}*.test.{ts,tsx}`], ...test },
  };
}

/**
 * Files of one worker share its modules: half of the time of a file of its own goes into loading them again. What a file
 * could leave behind, test/kit/patience.ts clears up.
 */
const together: TestProjectInlineConfiguration['test'] = { isolate: false };

const react: TestProjectInlineConfiguration['test'] = {
  environment: 'happy-dom',
  server: { deps: { inline: [/@testing-library/, /@tanstack\/react-query/] } },
};

/** Real sockets, processes and browsers: a machine that stands still for seconds is no defect, but twice in a row it is. */
const real = { retry: 1 } as const;

/** Projects of one group run together, the groups one after the other; of these, also the files. */
const alone = (groupOrder: number) => ({ fileParallelism: false, sequence: { groupOrder } }) as const;

/** More of them than there are cores, where files wait rather than compute. */
const waiting = (groupOrder: number) => ({ maxWorkers: 3, sequence: { groupOrder } }) as const;

const config: ViteUserConfig = defineConfig({
  resolve: {
    // `notify-listen/…` is the source, without a build: the paths of tsconfig.json, as in tsc and tsx.
    tsconfigPaths: true,
    alias: [{ find: /^express-4$/, replacement: path('test/peers/oldest/node_modules/express') }],
  },
  build: {
    target: 'es2022',
    minify: false,
    sourcemap: true,
    lib: { entry: entryPoints(), formats: ['es'] },
    rolldownOptions: {
      external: [
        /^node:/,
        /^react(-dom)?(\/|$)/,
        'express',
        'pusher',
        'pusher-js',
        'ably',
        'ably/modular',
        'ioredis',
        'pg',
        'nats',
        'ws',
        '@msgpack/msgpack',
      ],
      // 'use client' is kept, at the top of the one file that needs it: test/package.test.ts.
      onwarn: (warning, warn) => (warning.code === 'MODULE_LEVEL_DIRECTIVE' ? undefined : warn(warning)),
      output: {
        chunkFileNames: 'shared/[name]-[hash].js',
      },
    },
  },
  test: {
    reporters: ['default', path('test/kit/reporter.ts')],
    setupFiles: [path('test/kit/patience.ts')],
    // Two at least: most tests wait rather than compute, and on two cores Vitest would take one.
    maxWorkers: Math.max(2, availableParallelism() - 1),
    // Only what hangs takes so long: processes and browsers are started in hooks. How soon something must happen is for a
    // test to say where that is its subject.
    testTimeout: 120_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 20_000 } },
    projects: [
      project('unit', 'unit/**/', together),
      project('contract', 'contract/**/', together),
      project('integration', 'integration/**/', { ...together, ...real }),
      project('react', 'react/**/', react, [testingLibrary]),
      project('react-18', 'react/**/', react, [testingLibrary, oldestReact]),
      // Its own processes have all cores.
      project('sim', 'sim/**/', { ...alone(5), testTimeout: 300_000 }),
      project('package', '', alone(1)),
      project('e2e', 'e2e/**/', { sequence: { groupOrder: 2 }, ...real }),
      // They mostly wait: for a provider to be given up or trusted again, for a proxy's time-out.
      project('providers', 'providers/**/', { ...waiting(3), ...real }),
      project('proxies', 'proxies/**/', { ...waiting(3), ...real }),
      // A file for each engine, side by side: they mostly wait, for silence to be noticed.
      project('browsers', 'browsers/**/', { ...waiting(4), ...real }),
    ],
  },
});

export default config;
