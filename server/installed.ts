/** Whether an optional package is there, so that its absence is found out at the start and not at the first use. */
import { createRequire } from 'node:module';

/** Looks for a package as this one would. */
export function isInstalled(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}
