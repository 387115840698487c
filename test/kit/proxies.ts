/**
 * Starts nginx and HAProxy as they come with Debian, as an ordinary user on a port of this machine, with a configuration
 * that a test writes; and Vite's development proxy. Where a program is not found its tests are skipped with its name; in
 * CI that is an error.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer } from 'node:net';
import { userInfo } from 'node:os';
import { delimiter, join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createServer as createVite, type ProxyOptions } from 'vite';

const CACHE = fileURLToPath(new URL('../.cache/', import.meta.url));
/** How long a proxy may take until it listens, in milliseconds. It takes some tens. */
const START_MS = 10_000;

export type Tool = 'nginx' | 'haproxy' | 'openssl';

/** Path of a program: what `NGINX_PATH` and the like name, else what is found, also where only root's path leads. */
export function findTool(name: Tool): string | undefined {
  const named = process.env[`${name.toUpperCase()}_PATH`];
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return [...(named ? [named] : folders.map((folder) => join(folder, name)))].find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** For `describe.skipIf` and the like: the reason, or `''` when all are there. Throws it in CI, where nothing is skipped. */
export function missing(...tools: readonly Tool[]): string {
  const names = tools.filter((name) => findTool(name) === undefined);
  const reason = names.length === 0 ? '' : `not found: ${names.join(', ')}`;
  if (reason && process.env.CI === 'true') throw new Error(reason);
  return reason;
}

export interface RunningProxy {
  readonly port: number;
  readonly pid: number;
  /** What it has printed. */
  output(): string;
  /** Ends it and removes its files. */
  stop(): Promise<void>;
}

/** A port that is free now. nginx and HAProxy cannot choose one by themselves. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function folderFor(name: string): string {
  mkdirSync(CACHE, { recursive: true });
  return mkdtempSync(join(CACHE, `${name}-`));
}

async function listening(child: ChildProcess, port: number, printed: () => string): Promise<void> {
  const late = Date.now() + START_MS;
  for (;;) {
    if (child.exitCode !== null || Date.now() > late) throw new Error(`the proxy did not start\n${printed()}`);
    const socket = connect(port, '127.0.0.1');
    const open = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    if (open) return;
    await wait(10);
  }
}

async function run(path: string, args: readonly string[], folder: string, port: number): Promise<RunningProxy> {
  const child = spawn(path, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  const read = (chunk: Buffer): void => {
    printed = (printed + chunk).slice(-10_000);
  };
  child.stdout.on('data', read);
  child.stderr.on('data', read);
  const exited = once(child, 'exit');
  const abandoned = (): void => void child.kill('SIGTERM');
  process.once('exit', abandoned);
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await exited;
    process.off('exit', abandoned);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await listening(child, port, () => printed);
  } catch (error) {
    await stop();
    throw error;
  }
  return { port, pid: child.pid as number, output: () => printed, stop };
}

export interface NginxOptions {
  /** Where the application is, on this machine. */
  readonly upstream: number;
  /** Lines of the `location`, after `proxy_pass`. All else is nginx's default. */
  readonly location?: string;
  /** Lines of the `http` block. */
  readonly http?: string;
  /** HTTPS and HTTP/2 at the front, with this certificate. Default: plain HTTP/1.1. */
  readonly tls?: Certificate;
}

/** Its buffering and time-outs are nginx's own but for what the options say. */
export async function startNginx({ upstream, location = '', http = '', tls }: NginxOptions): Promise<RunningProxy> {
  const folder = folderFor('nginx');
  const port = await freePort();
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  const secure = tls ? `ssl_certificate ${tls.certificate}; ssl_certificate_key ${tls.key};` : '';
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off;
${userInfo().uid === 0 ? 'user root;' : ''}
worker_processes 1;
pid ${folder}/pid;
error_log stderr warn;
events {}
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join(' ')}
  ${http}
  server {
    listen 127.0.0.1:${port}${tls ? ' ssl http2' : ''};
    ${secure}
    location / {
      proxy_pass http://127.0.0.1:${upstream};
      ${location}
    }
  }
}
`,
  );
  const path = findTool('nginx') as string;
  return run(path, ['-e', 'stderr', '-p', folder, '-c', join(folder, 'nginx.conf')], folder, port);
}

export interface HaproxyOptions {
  /** Where the application is, on this machine. */
  readonly upstream: number;
  /** Instead of a configuration of ours: one that takes `127.0.0.1:8080` and asks `127.0.0.1:3000`. */
  readonly config?: string;
  /** `timeout server` and `timeout client`. Default `5s`. */
  readonly timeout?: string;
  /** HTTPS and HTTP/2 at the front, with this certificate. Default: plain HTTP/1.1. */
  readonly tls?: Certificate;
}

export async function startHaproxy({ upstream, config, timeout = '5s', tls }: HaproxyOptions): Promise<RunningProxy> {
  const folder = folderFor('haproxy');
  const port = await freePort();
  const file = join(folder, 'haproxy.cfg');
  if (tls)
    writeFileSync(join(folder, 'both.pem'), readFileSync(tls.certificate, 'utf8') + readFileSync(tls.key, 'utf8'));
  writeFileSync(
    file,
    config?.replace('127.0.0.1:8080', `127.0.0.1:${port}`).replace('127.0.0.1:3000', `127.0.0.1:${upstream}`) ??
      `global
  maxconn 1000
defaults
  mode http
  timeout connect 5s
  timeout client ${timeout}
  timeout server ${timeout}
frontend pages
  bind 127.0.0.1:${port}${tls ? ` ssl crt ${folder}/both.pem alpn h2,http/1.1` : ''}
  default_backend application
backend application
  server one 127.0.0.1:${upstream}
`,
  );
  return run(findTool('haproxy') as string, ['-db', '-f', file], folder, port);
}

/** Vite's `server.proxy` for these paths, in this process. */
export async function startVite(
  upstream: number,
  paths: readonly string[],
  configure?: ProxyOptions['configure'],
): Promise<Pick<RunningProxy, 'port' | 'stop'>> {
  const folder = folderFor('vite');
  const target = `http://127.0.0.1:${upstream}`;
  const server = await createVite({
    configFile: false,
    root: folder,
    cacheDir: join(folder, 'cache'),
    logLevel: 'silent',
    appType: 'custom',
    server: {
      host: '127.0.0.1',
      port: 0,
      hmr: false,
      ws: false,
      watch: null,
      proxy: Object.fromEntries(paths.map((path) => [path, configure ? { target, configure } : target])),
    },
  });
  await server.listen();
  const address = server.httpServer?.address() as AddressInfo;
  return {
    port: address.port,
    async stop() {
      await server.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export interface Certificate {
  /** Files in PEM. */
  readonly certificate: string;
  readonly key: string;
  remove(): void;
}

/** A self-signed certificate for `127.0.0.1`, made for the moment. */
export function selfSigned(): Certificate {
  const folder = folderFor('certificate');
  const [certificate, key] = [join(folder, 'certificate.pem'), join(folder, 'key.pem')];
  const { status, stderr } = spawnSync(
    findTool('openssl') as string,
    `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -out ${certificate} -keyout ${key}`.split(
      ' ',
    ),
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(`no certificate\n${stderr}`);
  return { certificate, key, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
