/** The browsers of a test file: one is started for all of its tests, and what is missing skips them by name. */
import { afterAll, beforeAll, beforeEach } from 'vitest';
import { findInstalledChromium } from '../browser.js';
import type { Engine, EngineName } from './engine.js';
import { findFirefox, findWebKit } from './find.js';
import { launchChromiumTabs, launchFirefox } from './puppeteer.js';
import { launchWebKit } from './webkit.js';

/** Starts a browser; where there is none, a sentence says what was looked for. */
export async function launchEngine(name: EngineName): Promise<Engine | string> {
  if (name === 'Chromium') {
    // Not npm's, which has no window: all of its tabs can be seen at once.
    const found = findInstalledChromium();
    return typeof found === 'string' ? found : launchChromiumTabs(found);
  }
  if (name === 'Firefox') {
    const found = findFirefox();
    return typeof found === 'string' ? found : launchFirefox(found.executablePath);
  }
  const found = findWebKit();
  return typeof found === 'string' ? found : launchWebKit(found);
}

/** Call it at the top of a test file. Without the browser its tests are skipped with the reason; in CI that is an error. */
export function openEngine(name: EngineName): () => Engine {
  let engine: Engine | undefined;
  let missing = '';

  beforeAll(async () => {
    const launched = await launchEngine(name);
    if (typeof launched !== 'string') engine = launched;
    else if (process.env.CI === 'true') throw new Error(launched);
    else missing = launched;
  });
  beforeEach((context) => {
    if (missing) context.skip(missing);
  });
  afterAll(() => engine?.close());

  return () => {
    if (!engine) throw new Error('the browser is there only while tests run');
    return engine;
  };
}
