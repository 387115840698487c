/**
 * The one Ably connection of a page: gets its tokens from our server, holds the channels of the newest set, and says when
 * they carry and when they do not. What Ably's SDK does by itself (resuming, trying again after a cut) is left to it; what
 * it takes as final is tried again here.
 */
import { ListenError } from '../errors.js';
import type { ProviderConnection, ProviderHost, ProviderInterest } from '../provider.js';
import { createChannels, type HeldChannels } from './channels.js';
import { readDetails } from './details.js';
import type { AblyClient, AblyError, StateChange, TokenRequest, TokenSource } from './sdk.js';

/** Waits before what is tried again here, doubled with each failure; the second bound is for what our own server refuses. */
const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 300_000;
const LONGEST_WAIT_FOR_TOKEN = 30_000;
/** After a cut nobody has refused anything: the page shall be back soon after Ably is. As often as the SDK asks at first. */
const LONGEST_WAIT_AFTER_CUT = 15_000;
/** A set that changes while its token is asked for is asked for again at once, so many times; then it must wait. */
const MOST_QUESTIONS = 3;
/** Our server gave no token: the error beneath says why. */
const NO_TOKEN = 80_019;
/** The token is another user's, or the user's hash changed with a secret: this client of the SDK takes no other any more. */
const OTHER_USER = 40_102;

/** Makes a client that does not connect by itself. Rejects when the SDK cannot be loaded. */
export type OpenClient = (host: ProviderHost, tokens: TokenSource) => Promise<AblyClient>;

/** What the token at hand covers: the set that it was made for, and the name at Ably of each of its local channels. */
interface Covered {
  readonly interest: ProviderInterest;
  readonly names: ReadonlyMap<string, string>;
}

/** Ably's error as ours. Never a final code: keys are put right, limits are raised, and the SDK is not the judge of that. */
function errorOf(reason: AblyError | undefined, isCut: boolean): ListenError {
  const { code = 0, statusCode = 0, message = 'no reason was given' } = reason ?? {};
  // 4011x: the account's limits; 429xx: rates. https://ably.com/docs/platform/errors/codes
  const isLimit = statusCode === 429 || Math.floor(code / 10) === 4_011;
  return new ListenError(isCut ? 'network' : isLimit ? 'limit' : 'unavailable', `Ably: ${message} (${code})`, {
    cause: reason,
  });
}

const asListenError = (error: unknown): ListenError =>
  error instanceof ListenError ? error : new ListenError('unavailable', String(error), { cause: error });

export function connectAbly(host: ProviderHost, openClient: OpenClient): ProviderConnection {
  const { world } = host;
  const name = `ably-${world.random().toString(36).slice(2)}`;
  let closed = false;
  let wanted: ProviderInterest | undefined;
  let covered: Covered | undefined;
  let client: AblyClient | undefined;
  let channels: HeldChannels | undefined;
  /** The set that was last told to be attached; none since something broke. */
  let told: ProviderInterest | undefined;
  /** What `down` was told last; none since `attached`. */
  let broken: ListenError | undefined;
  /** The token's life is nearly over. */
  let stale = false;
  let lastAsked: ProviderInterest | undefined;
  /** A token is being asked for, and will be for the newest set. */
  let asking = false;
  /** Why our own server gave no token. */
  let denied: ListenError | undefined;
  let failures = 0;
  let isWaiting = false;
  let isSoon = false;
  let retryTimer: unknown;
  let renewTimer: unknown;

  function down(error: ListenError): void {
    told = undefined;
    const isNews = broken === undefined || (broken.code === 'network' && error.code !== 'network');
    if (closed || !isNews) return;
    broken = error;
    host.down(error);
  }

  /** Tries again after a wait that grows until something is attached. */
  function later(run: () => void, longest = LONGEST_WAIT): void {
    world.clearTimeout(retryTimer);
    isWaiting = true;
    const most = Math.min(longest, FIRST_WAIT * 2 ** failures++);
    const again = (): void => {
      isWaiting = false;
      run();
    };
    retryTimer = world.setTimeout(again, most * (0.5 + world.random() / 2));
  }

  /** Asks for another token although there is one: it ends soon, or does not do. */
  function renew(): void {
    stale = true;
    step();
  }

  const names = (token: Covered | undefined, { channels: all }: ProviderInterest): boolean =>
    all.every((channel) => token?.names.has(channel));
  const shows = (token: Covered | undefined, { grants }: ProviderInterest): boolean =>
    grants.every((grant) => token?.interest.grants.includes(grant));

  /** What to hold of the names at hand: the wanted channels, and the internal ones that the server added for the token. */
  function target({ interest, names: named }: Covered, wish: ProviderInterest): Set<string> {
    const asked = new Set(interest.channels);
    const kept = new Set(wish.channels);
    return new Set([...named].flatMap(([channel, at]) => (kept.has(channel) || !asked.has(channel) ? [at] : [])));
  }

  async function ask(): Promise<TokenRequest> {
    for (let questions = 1; ; questions++) {
      const interest = wanted as ProviderInterest;
      lastAsked = interest;
      const { details, renewIn } = await host.authorise(client?.connection.id ?? name, interest);
      if (closed) throw new ListenError('closed', 'the connection was closed');
      const { tokenRequest, names: named } = readDetails(details);
      const answered: Covered = { interest, names: named };
      const newest = wanted as ProviderInterest;
      const isOld = interest !== newest && !(names(answered, newest) && shows(answered, newest));
      if (isOld && questions < MOST_QUESTIONS) continue;
      covered = answered;
      stale = false;
      channels?.keep(new Set(named.values())); // what is not granted any more is left before Ably refuses it
      world.clearTimeout(renewTimer);
      renewTimer = world.setTimeout(renew, renewIn);
      return tokenRequest;
    }
  }

  const tokens: TokenSource = (callback) => {
    asking = true;
    denied = undefined;
    ask()
      .catch((error: unknown) => {
        denied = asListenError(error);
        throw error;
      })
      .finally(() => {
        asking = false;
      })
      .then(
        (tokenRequest) => callback(null, tokenRequest),
        (error: unknown) => callback(String(error), null), // text: a 403 of our server must not end Ably's client for good
      );
  };

  /** Where the SDK does nothing by itself. */
  const isIdle = (state: string): boolean => state === 'initialized' || state === 'closed' || state === 'failed';

  /** Gets a token for the newest set: in place when connected, else it connects. */
  function authorise(to: AblyClient): void {
    to.auth.authorize().then(step, (error: AblyError) => {
      if (closed || to !== client || isWaiting) return;
      const { state } = to.connection;
      // While connected, the former token goes on to carry what it covers.
      if (state === 'connected') later(step, LONGEST_WAIT_FOR_TOKEN);
      else if (isIdle(state)) {
        down(denied ?? errorOf(error, false));
        later(step, denied ? LONGEST_WAIT_FOR_TOKEN : LONGEST_WAIT);
      }
    });
  }

  /** Takes the next step from where things stand towards the newest set. */
  function step(): void {
    if (closed || !wanted || !client || !channels) return;
    const { state } = client.connection;
    if (isIdle(state) && !isWaiting && !asking) authorise(client);
    if (state !== 'connected') return; // the SDK is at it, and says so when it is connected
    const isNamed = names(covered, wanted);
    const isAnswered = covered?.interest === wanted && !stale;
    const isEnough = isNamed && shows(covered, wanted) && !stale;
    if (!isAnswered && !isEnough && !asking && (!isWaiting || wanted !== lastAsked)) authorise(client);
    if (!covered) return;
    // What the token at hand covers need not wait for the next one: new grants for the same channels change nothing here.
    const held = target(covered, wanted);
    channels.keep(held);
    channels.join(held);
    // Some of the set are not in the token: their grants were not taken. The core hears of it from the same answer.
    if (isAnswered && !isNamed && !isWaiting) later(renew, LONGEST_WAIT_FOR_TOKEN);
    if (!isNamed || wanted === told || !channels.carries(held)) return;
    told = wanted;
    broken = undefined;
    failures = 0;
    host.attached(wanted);
  }

  /** One step for all that happens in one turn, after the SDK is through: on `connected` it has yet to attach again. */
  function soon(): void {
    if (isSoon) return;
    isSoon = true;
    void Promise.resolve().then(() => {
      isSoon = false;
      step();
    });
  }

  /** The SDK waits 15 s after a second failure, then longer; the waits here are never longer than that. */
  function hasten(): void {
    const state = client?.connection.state;
    if (state === 'disconnected' || state === 'suspended') client?.connect();
  }

  function follow(opened: AblyClient, { current, previous, reason }: StateChange): void {
    if (closed || opened !== client) return;
    if (current === previous) {
      if (reason) host.missed(); // flags of loss and of rates: 80020, 42915, 42916, 90003
      return;
    }
    if (current === 'connected') soon();
    if (current === 'connected' || current === 'connecting' || current === 'closing') return;
    channels?.lost();
    const isCut = current !== 'failed';
    down(reason?.code === NO_TOKEN && denied ? denied : errorOf(reason, isCut));
    if (reason?.code === OTHER_USER && current === 'failed') {
      client = undefined;
      channels = undefined;
      covered = undefined;
      later(start);
    } else if (isCut && current !== 'closed') later(hasten, LONGEST_WAIT_AFTER_CUT);
    else later(step); // `failed`; or `closed`: the page was about to be left, and stayed
  }

  function start(): void {
    openClient(host, tokens).then(
      (opened) => {
        if (closed) return opened.close();
        client = opened;
        channels = createChannels(opened, {
          attached() {
            told = undefined;
            soon();
          },
          missed: () => closed || host.missed(),
          stuck({ current, reason }) {
            if (closed || opened.connection.state !== 'connected') return;
            down(errorOf(reason, current !== 'failed'));
            later(current === 'failed' ? renew : step);
          },
          message: (data) => closed || host.message(data),
        });
        opened.connection.on((change) => follow(opened, change));
        step();
      },
      (error: unknown) => {
        if (closed) return;
        down(asListenError(error));
        later(start);
      },
    );
  }

  return {
    update(interest) {
      const isFirst = wanted === undefined;
      wanted = interest;
      if (isFirst) start();
      else soon();
    },
    close() {
      if (closed) return;
      closed = true;
      world.clearTimeout(retryTimer);
      world.clearTimeout(renewTimer);
      client?.close();
    },
  };
}
