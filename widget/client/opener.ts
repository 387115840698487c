/** Chooses the adapter of a link and starts it. What makes links of a provider is loaded when the first one is wanted. */
import type { ClientAdapter, LinkHost } from '../../adapters/contract.js';
import { ListenError } from '../../adapters/errors.js';
import type { ProviderClientAdapter } from '../../adapters/provider.js';
import type { Live } from './connection.js';
import type { Core } from './core.js';
import { DEV } from './dev.js';
import type { Hosted } from './hosted.js';

/** The first one is the fallback, which needs nothing but our own server: the built-in SSE. */
export type Adapters = readonly [ClientAdapter, ...(ClientAdapter | ProviderClientAdapter)[]];

/**
 * Returns how to open a link (at once, or when its code is loaded, unless it was ended before) and how to end what links
 * share.
 */
export function createOpener(
  core: Core,
  adapters: Adapters,
): [open: (held: Live, host: LinkHost) => void, close: () => void] {
  const [fallback] = adapters;
  /** Makes the links of a provider: they share one connection. */
  let hosted: Hosted | undefined;
  /** The adapter that was missed last, so that it is reported once. */
  let missed: string | undefined;

  const close = () => hosted?.close();

  return [
    (held, host) => {
      const { provider } = host.config;
      const named = adapters.find(({ name }) => name === provider);
      const adapter = named ?? fallback;
      if (!named && missed !== provider) {
        missed = provider;
        const help = DEV
          ? `the server is configured for "${provider}", which this page does not have; it uses ${fallback.name}. Add it: ` +
            `import { ${provider} } from 'notify-listen/adapters/${provider}/client', adapters: [${provider}()]`
          : `no adapter ${provider}`;
        core.report(new ListenError('configuration', help));
      }
      const begin = (opener: Pick<Hosted, 'open'>): void => {
        if (held.ended) return;
        const link = opener.open(host.interest(), host, adapter as ProviderClientAdapter);
        // An adapter may have ended it, or the host everything, from inside `open`.
        if (held.ended) link.close();
        else held.link = link;
      };
      if ('open' in adapter) {
        close();
        begin(adapter);
      } else
        import('./hosted.js')
          .then((chunk) => {
            hosted ??= chunk.hosted(fallback, core);
            begin(hosted);
          })
          // Without its chunk this link is one of the fallback; the next one tries again.
          .catch((error) => {
            core.report(error);
            begin(fallback);
          });
    },
    close,
  ];
}
