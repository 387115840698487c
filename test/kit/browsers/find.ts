/**
 * Finds browsers and what drives them: an environment variable first, then the path. Nothing is downloaded. What is
 * missing is a sentence that says what was looked for.
 */
import { accessSync, constants, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The first program of the path with this name. */
export function onPath(name: string): string | undefined {
  const folders = (process.env.PATH ?? '').split(delimiter);
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

/** Where Firefox is: `FIREFOX_PATH`, else the extended support release or any other of the path. */
export function findFirefox(): { readonly executablePath: string } | string {
  const named = process.env.FIREFOX_PATH;
  if (named) return isExecutable(named) ? { executablePath: named } : `FIREFOX_PATH: ${named} cannot be executed`;
  const executablePath = onPath('firefox-esr') ?? onPath('firefox');
  return executablePath ? { executablePath } : 'no Firefox: FIREFOX_PATH is not set, and none is on the path';
}

export interface WebKit {
  readonly driver: string;
  /** The browser of the WebKit project itself, which has nothing around the engine. */
  readonly miniBrowser: string;
  /** A display of its own; none: the one of `DISPLAY`. */
  readonly display: string | undefined;
}

/** Where distributions keep MiniBrowser: in a folder of the library's version, below one of the architecture. */
const LIBRARIES = ['/usr/lib', '/usr/lib64', '/usr/libexec'];

function findMiniBrowser(): string | undefined {
  const folders = LIBRARIES.flatMap((library) => [library, ...list(library, /-linux-gnu/)]);
  return folders
    .flatMap((folder) => list(folder, /^webkit(2gtk|gtk)/))
    .map((folder) => join(folder, 'MiniBrowser'))
    .find(isExecutable);
}

function list(folder: string, names: RegExp): string[] {
  try {
    const found = readdirSync(folder).filter((name) => names.test(name));
    return found.map((name) => join(folder, name));
  } catch {
    return [];
  }
}

/** WebKitGTK (Debian: webkit2gtk-driver, and xvfb unless there is a display). `WEBKIT_DRIVER_PATH` names another driver. */
export function findWebKit(): WebKit | string {
  const driver = process.env.WEBKIT_DRIVER_PATH || onPath('WebKitWebDriver');
  if (!driver || !isExecutable(driver))
    return 'no WebKitGTK: WEBKIT_DRIVER_PATH is not set, and WebKitWebDriver is not on the path';
  const miniBrowser = findMiniBrowser();
  if (!miniBrowser) return 'no WebKitGTK: there is a driver, but no MiniBrowser below /usr/lib';
  const display = onPath('Xvfb');
  if (!display && !process.env.DISPLAY) return 'no WebKitGTK: it needs a display, or Xvfb on the path';
  return { driver, miniBrowser, display };
}
