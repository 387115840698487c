/**
 * WebKitGTK: MiniBrowser, by WebKitWebDriver, on a display of its own. Every page has a window of its own, because the
 * driver can minimise a window but cannot bring a tab to the front. For each of them there is a process.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createServer } from 'node:net';
import type { Readable } from 'node:stream';
import type { Engine, Tab } from './engine.js';
import type { WebKit } from './find.js';
import { processOf } from './processes.js';
import { openSession, type WebDriver } from './webdriver.js';

/** How long driver and display may take to start, in milliseconds. */
const START = 15_000;
/** The key under which the protocol passes elements on. */
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';

export async function launchWebKit({ driver: program, miniBrowser, display }: WebKit): Promise<Engine> {
  const started: ChildProcess[] = [];
  const end = async (): Promise<void> => {
    // The display last: without it the browser would crash rather than end.
    for (const child of started.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.kill();
      await gone;
    }
  };
  try {
    const screen = display ? await startDisplay(display, started) : process.env.DISPLAY;
    const port = await freePort();
    const service = spawn(program, [`--port=${port}`], {
      stdio: 'ignore',
      env: {
        ...process.env,
        DISPLAY: screen,
        // CI is root in a container, without the system bus and without a graphics card.
        WEBKIT_DISABLE_SANDBOX_THIS_IS_DANGEROUS: '1',
        LIBGL_ALWAYS_SOFTWARE: '1',
        // Nobody looks: opening a page costs a third less.
        WEBKIT_DISABLE_COMPOSITING_MODE: '1',
      },
    });
    started.push(service);
    const base = `http://127.0.0.1:${port}`;
    await answers(`${base}/status`);
    const session = await openSession(base, {
      browserName: 'MiniBrowser',
      'webkitgtk:browserOptions': { binary: miniBrowser, args: ['--automation'] },
    });
    return await webKit(session, service.pid as number, end);
  } catch (error) {
    await end();
    throw error;
  }
}

async function webKit(driver: WebDriver, pid: number, end: () => Promise<void>): Promise<Engine> {
  // Stays open: without any window the session is over, and new ones are opened from an open one.
  const first = await driver.send<string>('GET', 'window');

  function tab(handle: string): Tab {
    const within = <T>(command: () => Promise<T>): Promise<T> => driver.within(handle, command);
    const evaluate = async <T>(expression: string): Promise<T> => {
      const script = `const done = arguments[0];
        (async () => (${expression}))().then((value) => done({ value }), (error) => done({ error: String(error) }));`;
      const result = await within(() =>
        driver.send<{ value: T; error?: string }>('POST', 'execute/async', { script, args: [] }),
      );
      if (result.error !== undefined) throw new Error(result.error);
      return result.value;
    };
    return {
      evaluate,
      show: () => within(() => driver.send('POST', 'window/rect', { x: 0, y: 0, width: 800, height: 600 })),
      hide: () => within(() => driver.send('POST', 'window/minimize', {})),
      close: () => within(() => driver.send('DELETE', 'window')),
      process: () => processOf(pid, 'WebCore: Worker', evaluate),
      click: (id) =>
        within(async () => {
          const selector = { using: 'css selector', value: `#${id}` };
          const element = await driver.send<Record<string, string>>('POST', 'element', selector);
          await driver.send('POST', `element/${element[ELEMENT]}/click`, {});
        }),
    };
  }

  return {
    version: `WebKitGTK ${driver.capabilities.browserVersion}`,
    async open(url) {
      const { handle } = await driver.within(first, () =>
        driver.send<{ handle: string }>('POST', 'window/new', { type: 'window' }),
      );
      await driver.within(handle, () => driver.send('POST', 'url', { url }));
      return tab(handle);
    },
    async opened(act) {
      const before = await driver.send<string[]>('GET', 'window/handles');
      await act();
      for (;;) {
        const now = await driver.send<string[]>('GET', 'window/handles');
        const [handle] = now.filter((known) => !before.includes(known));
        if (handle) return tab(handle);
      }
    },
    async close() {
      // After a crash there is no session any more, and its browser has to be ended with the driver.
      await driver.send('DELETE', '').catch(() => {});
      await end();
    },
  };
}

/** Starts a display, and says which number it took. */
async function startDisplay(program: string, started: ChildProcess[]): Promise<string> {
  const child = spawn(program, ['-displayfd', '3', '-screen', '0', '1280x1024x24', '-nolisten', 'tcp'], {
    stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
  });
  started.push(child);
  const output = child.stdio[3] as Readable;
  return new Promise((resolve, reject) => {
    let text = '';
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`Xvfb ended with ${code}`)));
    output.on('data', (part) => {
      text += part;
      if (text.includes('\n')) resolve(`:${text.trim()}`);
    });
  });
}

/** The driver takes a number only: one that is free now. */
function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

async function answers(url: string): Promise<void> {
  const late = Date.now() + START;
  for (;;) {
    try {
      await fetch(url);
      return;
    } catch (error) {
      if (Date.now() > late) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}
