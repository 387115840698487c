/** From a seed to a history: who is there, what they listen to, what is notified, and what goes wrong. Long: one table of faults. */
import { createRandom, mix, type Random } from '../kernel/random.js';
import { MEANINGS } from './faults.js';
import type { Action, ActionKind, History, ListenerPlan, ObjectPlan, Setup, TabPlan } from './types.js';

const OBJECTS: readonly ObjectPlan[] = [
  { entity: 'A', id: '1' },
  { entity: 'A', id: '2' },
  { entity: 'A', id: '3' },
  { entity: 'B', id: '1' },
  { entity: 'B', id: '2' },
  { entity: 'A' },
  { entity: 'B' },
];
const CHANNELS = ['A/1', 'A/2', 'A/3', 'B/1', 'B/2', 'A', 'B'];
const USERS = ['ann', 'bob', 'carl'];
const ACTIONS = ['x', 'y'];

/** When things happen, in milliseconds: nodes and pages have begun by then, and a history stays short. */
const FROM = 2_500;
const UNTIL = 32_000;

const NOTES = { least: 30, most: 36 };
const FAULTS = { least: 5, most: 8 };

/** No read of a driver sees it within a history. */
const UNNOTICED = 600_000;

type Make = (random: Random, at: number, setup: Setup) => Action;
const tab = (random: Random, setup: Setup): number => random.int(0, setup.tabs.length - 1);
const some = (random: Random, least: number, most: number): number =>
  // Short ones more often than long ones.
  Math.round(least + (most - least) * random.next() ** 2);

/** How likely each fault is, against the others, and what it looks like. */
const MAKES: readonly (readonly [weight: number, kind: ActionKind, make: Make])[] = [
  [10, 'cut', (r, at, s) => ({ at, do: 'cut', tab: tab(r, s), bytes: r.chance(0.3) ? 0 : some(r, 1, 900) })],
  [4, 'silence', (r, at, s) => ({ at, do: 'silence', tab: tab(r, s), for: some(r, 500, 12_000) })],
  [6, 'outage', (r, at, s) => ({ at, do: 'outage', tab: tab(r, s), for: some(r, 100, 15_000) })],
  [4, 'delay', (r, at, s) => ({ at, do: 'delay', tab: tab(r, s), for: some(r, 500, 8_000), ms: some(r, 50, 4_000) })],
  [4, 'swallow', (r, at, s) => ({ at, do: 'swallow', tab: tab(r, s), count: r.int(1, 3), for: some(r, 500, 8_000) })],
  [
    3,
    'garble',
    (r, at, s) => ({
      at,
      do: 'garble',
      tab: tab(r, s),
      for: some(r, 200, 8_000),
      how: r.pick(['html', 'login', 'empty', 'error', 'torn'] as const),
    }),
  ],
  [3, 'buffer', (r, at, s) => ({ at, do: 'buffer', tab: tab(r, s), for: some(r, 7_000, 40_000) })],
  [
    2,
    'shorten',
    (r, at, s) => ({ at, do: 'shorten', tab: tab(r, s), for: some(r, 5_000, 20_000), longest: some(r, 1_000, 9_000) }),
  ],
  [4, 'repeat', (r, at, s) => ({ at, do: 'repeat', tab: tab(r, s), count: r.int(1, 4) })],
  [
    8,
    'kill',
    (r, at, s) => ({
      at,
      do: 'kill',
      node: r.int(0, s.nodes - 1),
      effects: r.int(0, 30),
      silent: r.chance(0.3),
      for: some(r, 500, 6_000),
    }),
  ],
  [3, 'roll', (_, at) => ({ at, do: 'roll' })],
  [2, 'rotate', (_, at) => ({ at, do: 'rotate' })],
  [
    5,
    'stall',
    (r, at, s) => ({ at, do: 'stall', node: r.int(0, s.nodes - 1), for: some(r, 500, 20_000), dead: r.chance(0.3) }),
  ],
  [
    4,
    'unlink',
    (r, at, s) => ({
      at,
      do: 'unlink',
      node: r.int(0, s.nodes - 1),
      for: some(r, 500, 15_000),
      how: r.pick(['refused', 'void'] as const),
    }),
  ],
  [
    5,
    'engine',
    (r, at) => ({
      at,
      do: 'engine',
      for: some(r, 200, 10_000),
      how: r.pick(['fails', 'unanswered', 'hangs'] as const),
    }),
  ],
  [3, 'trim', (r, at) => ({ at, do: 'trim', keep: r.int(0, 8) })],
  [3, 'epoch', (_, at) => ({ at, do: 'epoch' })],
  [
    6,
    'brownout',
    (r, at, s) => {
      const how = r.pick(['refuses', 'freezes', 'freezes', 'late', 'late', 'deaf', 'deaf'] as const);
      const node = r.chance(0.5) ? r.int(0, s.nodes - 1) : -1;
      const length = how === 'freezes' ? r.int(5_000, 20_000) : some(r, 500, 12_000);
      return { at, do: 'brownout', for: length, how, node, ms: r.int(400, 2_500) };
    },
  ],
  [
    6,
    'regress',
    (r, at) => {
      const unnoticed = r.pick([0, 1_000, 5_000, UNNOTICED]);
      return { at, do: 'regress', count: r.int(1, 4), unnoticed, for: unnoticed === UNNOTICED ? 0 : unnoticed };
    },
  ],
  [3, 'lose', (r, at) => ({ at, do: 'lose', for: some(r, 20, 1_500) })],
  [
    5,
    'freeze',
    (r, at, s) => ({
      at,
      do: 'freeze',
      tab: tab(r, s),
      leads: r.chance(0.6),
      told: r.chance(0.3),
      for: some(r, 500, 20_000),
      sockets: r.pick(['kept', 'cut', 'silent'] as const),
      wakes: r.chance(0.5),
      stays: s.sharing && r.chance(0.15),
    }),
  ],
  [4, 'crash', (r, at, s) => ({ at, do: 'crash', tab: tab(r, s), leads: r.chance(0.6), for: some(r, 50, 4_000) })],
  [2, 'close', (r, at, s) => ({ at, do: 'close', tab: tab(r, s), for: some(r, 10, 4_000) })],
  [3, 'hide', (r, at, s) => ({ at, do: 'hide', tab: tab(r, s), for: some(r, 1_000, 20_000) })],
  [
    3,
    'sleep',
    (r, at, s) => ({
      at,
      do: 'sleep',
      browser: r.int(0, s.users.length - 1),
      for: some(r, 2_000, 60_000),
      sockets: r.pick(['kept', 'cut', 'silent'] as const),
    }),
  ],
  [
    2,
    'jump',
    (r, at, s) => ({
      at,
      do: 'jump',
      browser: r.int(0, s.users.length - 1),
      ms: r.pick([-3_600_000, -5_000, 3_000, 60_000, 86_400_000]),
    }),
  ],
  [
    2,
    'skew',
    (r, at, s) => ({
      at,
      do: 'skew',
      node: r.int(0, s.nodes - 1),
      ms: r.pick([-15_000, 8_000, 15_000, -3_600_000, 3_600_000]),
      for: some(r, 1_000, 10_000),
    }),
  ],
  [
    5,
    'withdraw',
    (r, at, s) => ({
      at,
      do: 'withdraw',
      ...r.pick(OBJECTS),
      user: r.pick(s.users),
      revokes: r.chance(0.75),
      node: r.int(0, s.nodes - 1),
      // 0: for good.
      for: r.chance(0.5) ? 0 : some(r, 500, 10_000),
    }),
  ],
  [
    2,
    'expire',
    (r, at, s) => ({
      at,
      do: 'expire',
      for: s.grantLife <= 30_000 ? s.grantLife + r.int(0, 3_000) : some(r, 500, 9_000),
    }),
  ],
  [3, 'doubt', (r, at) => ({ at, do: 'doubt', for: some(r, 200, 6_000) })],
  [2, 'user', (r, at, s) => ({ at, do: 'user', browser: r.int(0, s.users.length - 1), user: r.pick(USERS) })],
  [4, 'spoil', (r, at, s) => ({ at, do: 'spoil', tab: tab(r, s), for: some(r, 200, 8_000) })],
  [2, 'remount', (r, at, s) => ({ at, do: 'remount', tab: tab(r, s), listener: r.int(0, 4), for: some(r, 1, 3_000) })],
  [
    12,
    'provider',
    (r, at) => {
      const how = r.pick(['down', 'down', 'down', 'loses', 'loses', 'repeats', 'refuses', 'cuts'] as const);
      // Pages wait 5 s before they do without it.
      return {
        at,
        do: 'provider',
        for: how === 'down' ? r.int(3_000, 15_000) : some(r, 500, 12_000),
        how,
        stays: false,
      };
    },
  ],
  [2, 'lag', (r, at) => ({ at, do: 'lag', for: some(r, 500, 6_000) })],
];

/** Kinds that make a history of their own, so that each bound is tried by itself. */
const PURE: readonly ActionKind[] = [
  'cut',
  'cut',
  'crash',
  'silence',
  'outage',
  'stall',
  'kill',
  'freeze',
  'spoil',
  'swallow',
  'engine',
  'brownout',
  'regress',
  'provider',
  'provider',
  'provider',
];

/** What only those who read the engine can meet. */
const DRIVEN: ReadonlySet<ActionKind> = new Set(['brownout', 'regress']);

function choose(random: Random, among: typeof MAKES): (typeof MAKES)[number] {
  let rest = random.next() * among.reduce((sum, [weight]) => sum + weight, 0);
  for (const one of among) {
    rest -= one[0];
    if (rest < 0) return one;
  }
  return among[among.length - 1] as (typeof MAKES)[number];
}

function listenersOf(random: Random): ListenerPlan[] {
  const wanted = random.int(2, 4);
  const among = [...OBJECTS];
  const listeners: ListenerPlan[] = [];
  while (listeners.length < wanted) {
    const at = random.int(0, among.length - 1);
    const object = among[at];
    if (!object) break;
    // Some objects have two listeners on one page.
    if (random.chance(0.8)) among.splice(at, 1);
    const rows = random.pick([[['*']], [['*']], [['x'], ['y']], [['x', 'y']]]);
    listeners.push({ ...object, rows });
  }
  return listeners;
}

function setupOf(random: Random, kind: History['kind'], pure: ActionKind): Setup {
  const hosted = kind === 'pure' && pure === 'provider';
  const driven = kind === 'pure' && DRIVEN.has(pure);
  const engine = driven || random.chance(0.5) ? 'driven' : 'shared';
  const log = kind !== 'calm' && !hosted && !driven && random.chance(0.06) ? 'memory' : engine;
  const rights: Record<string, readonly string[]> = {
    ann: CHANNELS,
    bob: CHANNELS.filter(() => random.chance(0.85)),
    carl: CHANNELS.filter(() => random.chance(0.7)),
  };
  const grantLife = random.pick([20_000, 60_000, 300_000, 300_000]);
  const tabs: TabPlan[] = [];
  const count = random.chance(0.2) ? 4 : 3;
  for (let index = 0; index < count; index++) {
    tabs.push({
      browser: index === 2 ? 1 : 0,
      opens: random.int(900, 2_000) + (index > 0 && random.chance(0.15) ? random.int(2_000, 15_000) : 0),
      // Some pages take their time.
      loads: kind !== 'calm' && random.chance(0.12) ? random.int(300, 8_000) : random.int(5, 300),
      rendered: random.chance(0.25),
      listeners: listenersOf(random),
      latency: random.int(1, 40),
      jitter: random.int(0, 20),
    });
  }
  return {
    nodes: random.chance(0.15) ? 3 : 2,
    log,
    driver: { idle: random.pick([500, 3_000, 15_000]), slice: random.pick([2, 5, 1_000]) },
    provider: hosted || (kind === 'mixed' && log !== 'memory' && random.chance(0.25)),
    sharing: random.chance(0.6),
    grantLife,
    retention: Math.max(grantLife, random.pick([60_000, 420_000, 420_000, 420_000])),
    capacity: kind === 'calm' ? 16_384 : random.pick([600, 4_000, 16_384, 16_384]),
    access: random.pick([0, 0, 20, 400]),
    users: ['ann', 'bob'],
    rights,
    tabs,
  };
}

function notesOf(random: Random, setup: Setup, moments: readonly number[], calm: boolean): Action[] {
  const notes: Action[] = [];
  let left = random.int(NOTES.least, NOTES.most);
  const until = calm ? UNTIL + 20_000 : UNTIL;
  // Half of them lie near a fault, where it hurts.
  const moment = (near: number): number =>
    !calm && moments.length > 0 && random.chance(near)
      ? Math.max(FROM, random.pick(moments) + random.int(-300, 2_500))
      : random.int(FROM, until);
  // Nothing later hides that the last one of an object was lost; that of a whole entity concerns all of its objects.
  const lasts = OBJECTS.map(({ id }) => (id === undefined ? Math.min(moment(0.8), moment(0.8)) : moment(0.8)));
  const kept = random.chance(0.7);
  for (let n = 0; left > 0; n++) {
    const times = random.chance(0.12) ? Math.min(left, random.int(2, 8)) : 1;
    let at = moment(0.5);
    let which = random.int(0, OBJECTS.length - 1);
    if (kept && n < OBJECTS.length) {
      which = n;
      at = lasts[n] as number;
    } else if (kept) at = Math.min(at, lasts[which] as number);
    const to = random.chance(0.12) ? random.pick(USERS) : undefined;
    const except = to === undefined && random.chance(0.05) ? random.pick(USERS) : undefined;
    notes.push({
      at,
      do: 'notify',
      node: random.int(0, setup.nodes - 1),
      ...(OBJECTS[which] as ObjectPlan),
      action: random.pick(ACTIONS),
      times,
      every: random.pick([0, 0, 15, 40]),
      ...(to !== undefined && { to }),
      ...(except !== undefined && { except }),
    });
    left -= times;
  }
  return notes;
}

/** The same fault of a provider without loss, and some that last: what the relay and the pages do is tried by itself. */
function givenLater(random: Random, fault: Extract<Action, { do: 'provider' }>): Action {
  const how = fault.how === 'loses' ? 'refuses' : fault.how;
  const stays = how === 'down' && random.chance(0.15);
  return { ...fault, how, stays, at: stays ? UNTIL - random.int(8_000, 12_000) : fault.at };
}

/**
 * Faults that hurt only together, which chance would hardly bring: somebody is away while what he missed is forgotten, is
 * not looked at while his right ends, or leads and never comes back.
 */
function plotOf(random: Random, setup: Setup): Action[] {
  const at = random.int(FROM, UNTIL - 10_000);
  const which = tab(random, setup);
  const browser = setup.tabs[which]?.browser ?? 0;
  const node = random.int(0, setup.nodes - 1);
  const object = random.pick(setup.tabs[which]?.listeners ?? OBJECTS);
  const { entity, id } = object;
  const note = (later: number): Action => ({
    at: at + later,
    do: 'notify',
    node: 0,
    entity,
    ...(id !== undefined && { id }),
    action: random.pick(ACTIONS),
    times: 1,
    every: 0,
  });
  const freeze = { do: 'freeze', tab: which, told: false, sockets: 'kept', wakes: false, stays: false } as const;
  // What hurts a node that reads the log comes to the same ones only where nodes do.
  switch (random.int(0, setup.log === 'driven' ? 7 : 3)) {
    case 0:
      // Away while the log is trimmed, and nodes begin anew with what is left.
      return [
        { at, do: 'outage', tab: which, for: 14_000 },
        note(500),
        { at: at + 1_500, do: 'trim', keep: 0 },
        { at: at + 2_000, do: 'roll' },
      ];
    case 1:
      // Asleep for longer than the log remembers.
      return [{ at, do: 'sleep', browser, for: setup.retention + 20_000, sockets: 'cut' }, note(1_000)].filter(
        () => setup.retention <= 60_000,
      ) as Action[];
    case 2:
      // A right ends without a word while its page cannot ask again, and its stream goes on.
      return [
        { ...freeze, at, leads: false, for: setup.grantLife + 20_000 },
        {
          at: at + 100,
          do: 'withdraw',
          entity,
          ...(id !== undefined && { id }),
          user: setup.users[browser] as string,
          revokes: false,
          node: 0,
          for: 0,
        },
        note(setup.grantLife + 12_000),
      ].filter(() => setup.grantLife <= 20_000) as Action[];
    case 4: {
      const away = random.pick([2_500, 2_500, 9_000]);
      // A node hears nothing while somebody's right ends and the log forgets what came before that.
      return [
        { at, do: 'unlink', node, for: away, how: 'void' },
        note(200),
        note(300),
        {
          at: at + 600,
          do: 'withdraw',
          entity,
          ...(id !== undefined && { id }),
          user: setup.users[browser] as string,
          revokes: true,
          node: node + 1,
          for: 0,
        },
        { at: at + 750, do: 'trim', keep: 1 },
        note(away + 3_000),
        note(away + random.int(500, 6_000)),
      ];
    }
    case 5:
      // A node hears nothing while the log forgets what it would have heard.
      return [
        { at, do: 'unlink', node, for: random.int(1_500, 9_000), how: 'void' },
        note(500),
        { at: at + 1_400, do: 'trim', keep: 0 },
      ];
    case 6: {
      // Somebody comes with what he has just heard to a node that is told of it late.
      const moves = [1_500, 3_500, 5_500, 7_500].flatMap((later): Action[] => [
        note(later),
        { at: at + later + random.int(60, 250), do: 'cut', tab: which, bytes: 0 },
      ]);
      return [{ at, do: 'brownout', for: 10_000, how: 'late', node, ms: random.int(500, 1_400) }, ...moves];
    }
    case 7: {
      // One node has read what the engine loses, another one has not: only the first can tell, and nobody appends.
      const late = UNTIL + 3_000 - at;
      return [
        { at: at + late, do: 'brownout', for: 5_000, how: 'deaf', node: -1, ms: 0 },
        note(late + 300),
        { at: at + late + 380, do: 'regress', count: 1, unnoticed: UNNOTICED, for: 0 },
      ];
    }
    default:
      // The leader freezes for good, and somebody is told of nothing any more.
      return [{ ...freeze, at, leads: true, stays: setup.sharing, for: 10_000 }, note(random.int(500, 9_000))];
  }
}

export function generate(seed: number): History {
  const random = createRandom(mix(seed, 0x51a7));
  const draw = random.next();
  const kind = draw < 0.04 ? 'calm' : draw < 0.24 ? 'pure' : 'mixed';
  const pure = random.pick(PURE);
  const setup = setupOf(random, kind, pure);
  const faults: Action[] = [];
  if (kind !== 'calm') {
    const isAmong = (name: ActionKind): boolean =>
      kind === 'pure'
        ? name === pure || (pure === 'provider' && name === 'epoch')
        : (setup.provider || name !== 'provider') && (setup.log === 'driven' || !DRIVEN.has(name));
    const among = MAKES.filter(([, name]) => isAmong(name));
    let wanted = random.int(FAULTS.least, FAULTS.most);
    while (wanted > 0) {
      const [, name, make] = choose(random, among);
      const fault = make(random, random.int(FROM, UNTIL), setup);
      faults.push(kind === 'pure' && fault.do === 'provider' ? givenLater(random, fault) : fault);
      if (MEANINGS[name].fault) wanted -= 1;
    }
  }
  if (kind === 'mixed' && random.chance(setup.log === 'driven' ? 0.4 : 0.3)) faults.push(...plotOf(random, setup));
  const notes = notesOf(
    random,
    setup,
    // What comes later is to have the last word.
    faults.flatMap(({ at }) => (at <= UNTIL ? [at] : [])),
    kind === 'calm',
  );
  return { seed, kind, setup, actions: [...faults, ...notes].sort((a, b) => a.at - b.at) };
}
