/** `file:./path` -> the path. */
import { fileURLToPath } from 'node:url';

const SCHEME = 'file:';

/**
 * The path that a log address names: `file:./path`, `file:/path`, `file:C:\path`, or a URL, `file:///path`, in which
 * `%20` is a blank. Relative paths are left as they are.
 *
 * @throws Error with the end of a sentence that begins with the address.
 */
export function pathOf(address: string): string {
  const path = address.startsWith(`${SCHEME}//`) ? pathOfUrl(address) : address.slice(SCHEME.length);
  if (path === '' || /[/\\]$/.test(path) || path.includes('\0')) throw new Error('names no file');
  // `file:/C:/path`
  return process.platform === 'win32' ? path.replace(/^\/(?=[a-z]:)/i, '') : path;
}

function pathOfUrl(address: string): string {
  try {
    return fileURLToPath(address);
  } catch {
    throw new Error('is not a URL of a file on this machine');
  }
}

/** Whether it is the address of a file log. */
export function isFileAddress(address: string): boolean {
  return address.startsWith(SCHEME);
}
