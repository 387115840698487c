/**
 * Proxies that cut: after 5 s and 30 s of silence, and after 30 s in any case. All of them at once, since they are mostly
 * waited for: an object and a page for each.
 */

import type { ListenClientOptions } from 'notify-listen/client';
import { expect, onTestFinished, test, vi } from 'vitest';
import { faultProxy } from '../kit/fault-proxy.js';
import { missing, type RunningProxy, startHaproxy, startNginx } from '../kit/proxies.js';
import { connected, type Desk, follows, followsOverLosses, SOON, startDesk, type Watcher, watch } from './desk.js';

/** Above the 15 s of a heartbeat there is nothing to cut; to see a cut at 30 s the heartbeat must be rarer. */
const RARE_HEARTBEAT = 60_000;

const origin = ({ port }: { readonly port: number }): string => `http://127.0.0.1:${port}`;
const keep = <P extends RunningProxy>(proxy: P): P => {
  onTestFinished(proxy.stop);
  return proxy;
};

/** What one way through a proxy must show. */
interface Way {
  readonly name: string;
  readonly origin: string;
  run(watcher: Watcher, id: number): Promise<void>;
  readonly options?: ListenClientOptions;
}

async function runAll(desk: Desk, ways: readonly Way[]): Promise<void> {
  const failures = await Promise.all(
    ways.map(async (way, index) => {
      const watcher = watch(way.origin, index + 1, way.options);
      try {
        await way.run(watcher, index + 1);
        expect(watcher.states).not.toContain('failed');
        await follows(desk, watcher, index + 1);
        return '';
      } catch (error) {
        return `${way.name}: ${error}\n${watcher.states.join(', ')}`;
      }
    }),
  );
  expect(failures.filter(Boolean).join('\n\n')).toBe('');
}

test('nothing is lost over any of their cuts', async (context) => {
  const reason = missing('nginx', 'haproxy');
  if (reason) return context.skip(reason);
  const desk = await startDesk();
  const rare = await startDesk({ heartbeat: RARE_HEARTBEAT });
  const frequent = await startDesk({ heartbeat: 1_000 });
  const upstream = desk.server.port;

  const stays = async (watcher: Watcher, id: number): Promise<void> => {
    await connected(watcher, 'sse');
    await followsOverLosses(desk, watcher, id, 4);
    await connected(watcher, 'sse');
    expect(watcher.states.join()).not.toContain('poll');
  };
  const nginx = keep(await startNginx({ upstream, location: 'proxy_read_timeout 5s;' }));
  const haproxy = keep(await startHaproxy({ upstream, timeout: '5s' }));
  const life = await faultProxy({ target: upstream, life: 30_000 });
  onTestFinished(life.close);
  const buffering = keep(
    await startNginx({ upstream, location: 'proxy_ignore_headers X-Accel-Buffering; proxy_read_timeout 5s;' }),
  );
  const nginx30 = keep(await startNginx({ upstream: rare.server.port, location: 'proxy_read_timeout 30s;' }));

  const nginx1 = keep(await startNginx({ upstream: frequent.server.port, location: 'proxy_read_timeout 5s;' }));
  const haproxy1 = keep(await startHaproxy({ upstream: frequent.server.port, timeout: '5s' }));

  let asks = 0;
  const uncut = async (watcher: Watcher, id: number): Promise<void> => {
    await connected(watcher, 'sse');
    await new Promise((resolve) => setTimeout(resolve, 12_000));
    await follows(frequent, watcher, id);
    expect(watcher.losses()).toBe(0);
  };
  const once = (its: Desk) => async (watcher: Watcher, id: number) => {
    await connected(watcher, 'sse');
    await follows(its, watcher, id);
    await followsOverLosses(its, watcher, id, 1);
    await connected(watcher, 'sse');
  };
  await Promise.all([
    runAll(desk, [
      { name: 'nginx, 5 s of silence', origin: origin(nginx), run: stays },
      { name: 'HAProxy, 5 s of silence', origin: origin(haproxy), run: stays },
      { name: 'every connection ends after 30 s', origin: life.url, run: once(desk) },
      {
        name: 'nginx that buffers, and cuts polls before they are answered',
        origin: origin(buffering),
        options: {
          world: {
            fetch(input, init) {
              if (String(init?.body).includes('"wait":"once"')) asks += 1;
              return fetch(input, init);
            },
          },
        },
        async run(watcher, id) {
          await connected(watcher, 'poll');
          await follows(desk, watcher, id);
          // After a poll that was cut comes one that does not wait.
          for (let n = 0; n < 3; n += 1) {
            const before = asks;
            await vi.waitFor(() => expect(asks).toBeGreaterThan(before), SOON);
            await follows(desk, watcher, id);
          }
          expect(watcher.states).not.toContain('connected sse');
        },
      },
    ]),
    runAll(rare, [{ name: 'nginx, 30 s of silence', origin: origin(nginx30), run: once(rare) }]),
    runAll(frequent, [
      { name: 'nginx, 5 s, above the heartbeat', origin: origin(nginx1), run: uncut },
      { name: 'HAProxy, 5 s, above the heartbeat', origin: origin(haproxy1), run: uncut },
    ]),
  ]);
}, 75_000);
