/** The page of the demo: built once for `npm run demo`, served with hot reload for `npm run dev`. */
import { join } from 'node:path';
import react from '@vitejs/plugin-react';
import { build, createServer, type InlineConfig } from 'vite';

const shared: InlineConfig = {
  root: join(import.meta.dirname, 'page'),
  configFile: false,
  plugins: [react()],
  // `notify-listen/…` is this repository's own source; an application has it in node_modules and needs no such line.
  resolve: { tsconfigPaths: true },
};

/** Builds into `outDir` and returns it. */
export async function buildPage(outDir: string): Promise<string> {
  await build({ ...shared, logLevel: 'warn', build: { outDir, emptyOutDir: true, target: 'es2022' } });
  return outDir;
}

/** Serves the page by itself and hands the API and the streams on to `server`. */
export async function servePage(at: { host: string; port: number; server: string }): Promise<{
  readonly port: number;
  close(): Promise<void>;
}> {
  const vite = await createServer({
    ...shared,
    logLevel: 'warn',
    server: {
      host: at.host,
      port: at.port,
      strictPort: true,
      proxy: { '^(/as/[^/]+)?/api(/|$)': at.server, '^/as/[^/]+/notify-listen(/|$)': at.server },
    },
  });
  try {
    await vite.listen();
  } catch (error) {
    await vite.close();
    throw error;
  }
  const address = vite.httpServer?.address();
  return { port: typeof address === 'object' && address ? address.port : at.port, close: () => vite.close() };
}
