/**
 * Whether this is a development build: only then are help texts written out and wrong configuration thrown at render.
 *
 * Bundlers replace `process.env.NODE_ENV` but not `process`, so `typeof process` would be wrong in every page that a
 * development server serves. The guard asks by trying; a bundle for production folds both halves to `false` and drops
 * what depends on it. Without a bundler and without `process` it is production.
 */
const NAMED = /* @__PURE__ */ (() => {
  try {
    return Boolean(process.env.NODE_ENV) || true;
  } catch {
    return false;
  }
})();

export const DEV: boolean = NAMED ? process.env.NODE_ENV !== 'production' : false;
