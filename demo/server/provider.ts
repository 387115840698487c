/** The provider that carries the notifications: an account that the environment names, or an emulator in this process. */
import { startAblyEmulator, startPusherEmulator } from 'notify-listen/emulators';

type Env = Readonly<Record<string, string | undefined>>;

export interface DeskProvider {
  /** The environment of the notifier, with the provider's constants. */
  readonly env: Env;
  /** One line for the terminal. */
  readonly told: string;
  close(): Promise<void>;
}

const EMULATORS = {
  pusher: { start: startPusherEmulator, constant: 'PUSHER_KEY' },
  ably: { start: startAblyEmulator, constant: 'ABLY_API_KEY' },
} as const;

/**
 * @param named `sse`, `pusher` or `ably`; none: what `NOTIFY_LISTEN_PROVIDER` says, else `sse`.
 * @throws Error for another name.
 */
export async function openProvider(named: string | undefined, env: Env): Promise<DeskProvider> {
  const provider = named ?? (env.NOTIFY_LISTEN_PROVIDER || 'sse');
  const close = async (): Promise<void> => {};
  if (provider === 'sse') {
    return { env: { ...env, NOTIFY_LISTEN_PROVIDER: provider }, told: 'Pages listen over SSE.', close };
  }
  if (provider !== 'pusher' && provider !== 'ably') {
    throw new Error(`--provider is "${provider}"; the desk knows sse, pusher and ably.`);
  }
  const { start, constant } = EMULATORS[provider];
  if (env[constant]) {
    return {
      env: { ...env, NOTIFY_LISTEN_PROVIDER: provider },
      told: `Pages listen over ${provider}, with the account that ${constant} names.`,
      close,
    };
  }
  const emulator = await start({ port: Number(env.EMULATOR_PORT ?? 0) });
  return {
    env: { ...env, ...emulator.env, NOTIFY_LISTEN_PROVIDER: provider },
    told: `Pages listen over ${provider}, emulated on ${emulator.url}; POST ${emulator.url}/__faults breaks it.`,
    close: () => emulator.close(),
  };
}
