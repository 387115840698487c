/** The client half: holds one response of the broker open, and opens another one when it ends. */
import {
  ListenError,
  type ProviderClientAdapter,
  type ProviderConnection,
  type ProviderHost,
  type ProviderInterest,
} from 'notify-listen/client';

/** Bounds of the wait before the next try, in milliseconds; full jitter, so that pages do not return all at once. */
const WAIT = { min: 300, max: 30_000 };
/** The broker says something every 15 s. Milliseconds without a word after which it counts as gone. */
const SILENCE = 40_000;

export function example(): ProviderClientAdapter {
  return { name: 'example', capabilities: { fansOut: 'provider', channels: 100 }, connect };
}

function connect(host: ProviderHost): ProviderConnection {
  const { world, config } = host;
  const { url } = config.settings as { readonly url: string };
  const id = crypto.randomUUID();
  let failures = 0;
  let stop = (): void => {};

  /** Listens to this set instead of what was listened to before. */
  function begin(interest: ProviderInterest): void {
    stop();
    const request = new AbortController();
    let over = false;
    let next: unknown;
    let silence: unknown;

    stop = () => {
      over = true;
      request.abort();
      world.clearTimeout(next);
      world.clearTimeout(silence);
    };

    function later(ms: number): void {
      world.clearTimeout(next);
      next = world.setTimeout(() => begin(interest), ms);
    }

    function alive(): void {
      world.clearTimeout(silence);
      silence = world.setTimeout(() => request.abort(), SILENCE);
    }

    function take(line: { readonly ready?: true; readonly lost?: true; readonly data?: string }): void {
      if (line.ready) host.attached(interest);
      // Not before: a broker that takes everybody and hangs up would be asked without a pause.
      else failures = 0;
      if (line.lost) host.missed();
      if (line.data !== undefined) host.message(line.data);
    }

    async function listen(): Promise<never> {
      const { details, renewIn } = await host.authorise(id, interest);
      if (over) throw new ListenError('closed', '');
      alive();
      const body = JSON.stringify(details);
      const response = await world.fetch(url, { method: 'POST', body, signal: request.signal });
      // 409: the ticket is too old, and the next one is not. Anything else is a refusal, and is reported.
      if (!response.ok || !response.body)
        throw new ListenError(response.status === 409 ? 'network' : 'unavailable', `The broker: ${response.status}.`);
      later(renewIn);
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let rest = ''; ; ) {
        const { done, value } = await reader.read();
        if (done || over) throw new ListenError('network', 'The broker ended the response.');
        alive();
        const lines = (rest + value).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) if (!over) take(JSON.parse(line));
      }
    }

    listen().catch((cause: unknown) => {
      if (over) return;
      world.clearTimeout(silence);
      later(world.random() * Math.min(WAIT.max, WAIT.min * 2 ** failures++));
      host.down(cause instanceof ListenError ? cause : new ListenError('network', 'The broker is away.', { cause }));
    });
  }

  return { update: begin, close: () => stop() };
}
