/** What each action of a history does to the world. Long: one case for each of them, to be read side by side. */
import { SECRETS } from '../history/faults.js';
import type { Action } from '../history/types.js';
import { channelOfPlan } from './app.js';
import type { Node } from './node.js';
import type { Page } from './page.js';
import type { Stage } from './simulate.js';

export interface Act {
  readonly stage: Stage;
  /** Which node was told of which note. */
  readonly owners: Map<number, Node>;
}

/** How long after a death the balancer still sends requests there, at most, in milliseconds. */
const DETECTION = 1_500;
/** Between the restarts of two nodes of a rolling restart, in milliseconds. */
const ROLL_PAUSE = 1_500;
/** How long the supervisor waits for a node that says goodbye, in milliseconds. */
const GOODBYE = 4_000;

export function perform(act: Act, action: Action): void {
  const { stage } = act;
  const { clock, engine, nodes, browsers, app } = stage;
  const outside = clock.current();
  if (!outside) return;
  const { random } = outside;
  stage.tell(JSON.stringify(action));
  const later = (ms: number, run: () => void): void => void clock.after(outside, ms, run);
  const page = (tab: number): Page | undefined => (stage.pages[tab]?.alive ? stage.pages[tab] : undefined);
  /** The tab, or the one in its browser that leads. */
  const leading = (tab: number, leads: boolean): Page | undefined => {
    const of = page(tab);
    const [leader] = of?.browser.tabs?.leaders() ?? [];
    return (leads && stage.pages.find((each) => each?.alive && each.owner === leader)) || of;
  };
  const alive = (index: number): Node | undefined => {
    const serves = (node: Node | undefined): boolean => !!node?.notifier && !node.owner.dead && !node.closing;
    const wanted = nodes[index % nodes.length];
    return serves(wanted) ? wanted : nodes.find(serves);
  };
  const lined = (tab: number, ms: number, begin: (of: Page) => void, end: (of: Page) => void): void => {
    const of = page(tab);
    if (!of) return;
    begin(of);
    later(ms, () => end(of));
  };
  const sockets = (of: Page, how: 'kept' | 'cut' | 'silent'): void => {
    if (how !== 'kept') stage.provider?.cut(of.owner, how === 'silent');
    for (const connection of [...of.connections]) {
      if (how === 'cut') connection.cut(0);
      else if (how === 'silent') connection.mute();
    }
  };

  switch (action.do) {
    case 'notify': {
      const { entity, id, to, except, times } = action;
      const node = alive(action.node);
      if (!node) return;
      const object = { entity, ...(id !== undefined && { id }) };
      for (let time = 0; time < times; time++)
        clock.after(node.owner, time * action.every, () => {
          const note = app.change(object, action.action, to, except);
          act.owners.set(note.n, node);
          void node.notifier
            ?.notify(action.action, object, {
              detail: note.n,
              ...(to !== undefined && { to: { users: [to] } }),
              ...(except !== undefined && { except: { users: [except] } }),
            })
            .then(({ accepted }) => {
              note.accepted = accepted;
            });
        });
      return;
    }
    case 'cut': {
      const of = page(action.tab);
      for (const connection of of ? [...of.connections] : []) {
        connection.cut(action.bytes);
        if (action.bytes > 0) later(1_000, () => connection.cut(0));
      }
      return;
    }
    case 'silence':
      lined(
        action.tab,
        action.for,
        (of) => {
          sockets(of, 'silent');
          of.line.way = 'void';
        },
        (of) => {
          of.line.way = 'up';
        },
      );
      return;
    case 'outage':
      lined(
        action.tab,
        action.for,
        (of) => {
          sockets(of, 'cut');
          of.line.way = 'refused';
        },
        (of) => {
          of.line.way = 'up';
        },
      );
      return;
    case 'delay':
      lined(
        action.tab,
        action.for,
        (of) => {
          of.line.latency += action.ms;
        },
        (of) => {
          of.line.latency -= action.ms;
        },
      );
      return;
    case 'swallow':
      lined(
        action.tab,
        action.for,
        (of) => {
          of.line.unanswered += action.count;
          sockets(of, 'cut');
        },
        (of) => {
          of.line.unanswered = 0;
        },
      );
      return;
    case 'garble':
      lined(
        action.tab,
        action.for,
        (of) => {
          of.line.answers = action.how;
          sockets(of, 'cut');
        },
        (of) => {
          of.line.answers = undefined;
        },
      );
      return;
    case 'buffer':
      lined(
        action.tab,
        action.for,
        (of) => {
          of.line.buffers = true;
          sockets(of, 'cut');
        },
        (of) => {
          of.line.buffers = false;
          for (const connection of of.connections) connection.release();
        },
      );
      return;
    case 'shorten':
      lined(
        action.tab,
        action.for,
        (of) => {
          of.line.longest = action.longest;
          sockets(of, 'cut');
        },
        (of) => {
          of.line.longest = 0;
        },
      );
      return;
    case 'repeat': {
      const of = page(action.tab);
      if (!of) return;
      of.line.twice += action.count;
      sockets(of, 'cut');
      return;
    }
    case 'kill': {
      const node = nodes[action.node % nodes.length];
      if (!node || node.owner.dead) return;
      const bring = (): void => {
        const dead = nodes.filter((each) => each.owner.dead);
        for (const each of dead) {
          each.listed = false;
          stage.startNode(each.index);
        }
      };
      // At any await: so many of its next effects are still let out.
      node.owner.doom = action.effects;
      later(200, () => stage.kill(node, action.silent));
      later(random.int(0, DETECTION), () => {
        for (const each of nodes) if (each.owner.dead) each.listed = false;
      });
      later(action.for, bring);
      return;
    }
    case 'roll':
      roll(act, later);
      return;
    case 'rotate': {
      // First all nodes learn it, then it signs: no node meets a grant that it cannot read.
      const fresh = `another secret with number ${stage.secrets.length + clock.now()}`;
      const [first = '', ...others] = stage.secrets;
      stage.secrets = [fresh, first, ...others].slice(0, SECRETS);
      roll(act, later);
      return;
    }
    case 'stall': {
      const node = nodes[action.node % nodes.length];
      if (!node || node.owner.dead) return;
      engine.stall(node.owner);
      if (!action.dead) later(action.for, () => engine.flow(node.owner));
      return;
    }
    case 'unlink': {
      const node = nodes[action.node % nodes.length];
      if (!node || node.owner.dead) return;
      node.link.way = action.how;
      if (action.how === 'refused') engine.disrupt(node.owner);
      later(action.for, () => {
        node.link.way = 'up';
        engine.flow(node.owner);
      });
      return;
    }
    case 'engine':
      engine.append = action.how;
      later(action.for, () => {
        engine.append = 'works';
      });
      return;
    case 'trim':
      engine.trim(action.keep);
      return;
    case 'epoch':
      // Somebody else has emptied it, or has had reason to doubt what is left.
      engine.renew(stage.history.setup.log === 'driven' && random.chance(0.5));
      return;
    case 'regress':
      engine.service.lose(action.count, action.unnoticed);
      return;
    case 'brownout': {
      const { service } = engine;
      switch (action.how) {
        case 'refuses':
          service.refuses += 1;
          for (const node of nodes) engine.disrupt(node.owner);
          later(action.for, () => {
            service.refuses -= 1;
          });
          return;
        case 'freezes':
          service.freeze();
          later(action.for, () => service.thaw());
          return;
        case 'deaf':
          service.deaf += 1;
          later(action.for, () => {
            service.deaf -= 1;
          });
          return;
        case 'late': {
          // There and back it may be more than a call may take.
          const slow = action.node < 0 ? [...nodes] : nodes.slice(action.node % nodes.length).slice(0, 1);
          for (const { link } of slow) link.latency += action.ms;
          later(action.for, () => {
            for (const { link } of slow) link.latency -= action.ms;
          });
        }
      }
      return;
    }
    case 'lose':
      engine.hold();
      later(action.for, () => {
        engine.renew();
        engine.service.release();
        for (const node of nodes) engine.flow(node.owner);
      });
      return;
    case 'freeze': {
      const of = leading(action.tab, action.leads);
      if (!of || of.owner.frozen) return;
      // Some browsers tell a page before they freeze it, and after it.
      if (action.told) clock.after(of.owner, 0, () => of.leave());
      later(2, () => {
        sockets(of, action.sockets);
        clock.freeze(of.owner);
        // What is posted to a page that is put away may be dropped.
        of.owner.deaf = action.sockets !== 'kept';
      });
      if (action.stays) return;
      later(action.for, () => {
        of.owner.deaf = false;
        clock.thaw(of.owner);
        if (action.wakes || action.told) clock.after(of.owner, 0, () => of.alive && of.wake());
      });
      return;
    }
    case 'crash': {
      const of = leading(action.tab, action.leads);
      if (!of) return;
      stage.discard(of, random.chance(0.3));
      later(action.for, () => stage.load(of.index));
      return;
    }
    case 'close': {
      const of = page(action.tab);
      if (!of) return;
      clock.after(of.owner, 0, () => of.close());
      later(Math.max(1, action.for), () => stage.load(action.tab));
      return;
    }
    case 'hide': {
      const of = page(action.tab);
      if (!of) return;
      clock.after(of.owner, 0, () => of.hide());
      later(action.for, () => clock.after(of.owner, 0, () => of.alive && of.show()));
      return;
    }
    case 'sleep': {
      const browser = browsers[action.browser];
      const asleep = stage.pages.filter((of) => of?.alive && of.browser === browser && !of.owner.frozen);
      if (!browser) return;
      for (const of of asleep) {
        sockets(of, action.sockets);
        clock.freeze(of.owner);
      }
      later(action.for, () => {
        // The monotonic clock stood still; timers are due so much later, and find that out when they fire.
        browser.mono -= action.for;
        for (const of of asleep) clock.thaw(of.owner);
      });
      return;
    }
    case 'jump': {
      const browser = browsers[action.browser];
      if (browser) browser.wall += action.ms;
      return;
    }
    case 'skew': {
      // One node's clock by little, or those of all by much.
      const skewed = Math.abs(action.ms) > 20_000 ? [...nodes] : nodes.slice(action.node % nodes.length).slice(0, 1);
      for (const node of skewed) node.owner.wall += action.ms;
      later(action.for, () => {
        for (const node of skewed) node.owner.wall -= action.ms;
      });
      return;
    }
    case 'withdraw': {
      const { user } = action;
      const channel = channelOfPlan(action);
      if (!app.may(user, channel)) return;
      app.withdraw(user, channel);
      const node = alive(action.node);
      if (action.revokes && node) {
        const object = { entity: action.entity, ...(action.id !== undefined && { id: action.id }) };
        clock.after(node.owner, 0, () => {
          void node.notifier?.revoke(user, object).then(({ positions }) => {
            if (positions?.[0]) app.revoked(user, channel, positions[0]);
          });
        });
      }
      if (action.for === 0) return;
      later(action.for, () => {
        app.restore(user, channel);
        // The application tells its pages that there is something to see again.
        for (const of of stage.pages)
          if (of?.alive && of.user() === user) clock.after(of.owner, random.int(0, 300), () => of.client?.reconnect());
      });
      return;
    }
    case 'expire': {
      // Nobody can renew a grant until it has ended.
      stage.doubtful += 1;
      later(action.for, () => {
        stage.doubtful -= 1;
      });
      return;
    }
    case 'doubt':
      stage.doubtful += 1;
      later(action.for, () => {
        stage.doubtful -= 1;
      });
      return;
    case 'user': {
      const browser = browsers[action.browser];
      if (!browser) return;
      browser.user = action.user;
      browser.since = clock.now();
      for (const of of stage.pages)
        if (of?.alive && of.browser === browser)
          clock.after(of.owner, random.int(0, 1_000), () => of.alive && of.client?.reconnect());
      return;
    }
    case 'spoil':
      lined(
        action.tab,
        action.for,
        (of) => {
          of.spoiled = true;
        },
        (of) => {
          of.spoiled = false;
        },
      );
      return;
    case 'remount': {
      const of = page(action.tab);
      const listener = of?.listeners[action.listener % of.listeners.length];
      if (!of || !listener) return;
      clock.after(of.owner, 0, () => {
        listener.listening?.close();
        listener.listening = undefined;
      });
      clock.after(of.owner, Math.max(1, action.for), () => of.alive && of.mount(listener));
      return;
    }
    case 'lag':
      for (const node of nodes) node.link.latency += 400;
      later(action.for, () => {
        for (const node of nodes) node.link.latency = Math.max(1, node.link.latency - 400);
      });
      return;
    case 'provider':
      if (!stage.provider) return;
      if (action.how === 'cuts') {
        stage.provider.cut(undefined, false);
        return;
      }
      stage.provider.fault = action.how;
      if (action.stays) return;
      later(action.for, () => {
        if (stage.provider) stage.provider.fault = 'works';
      });
      return;
  }
}

/** One node after the other says goodbye, ends, and comes back. */
function roll({ stage }: Act, later: (ms: number, run: () => void) => void): void {
  const { clock, nodes } = stage;
  const next = (index: number): void => {
    const node = nodes[index];
    if (!node) return;
    if (node.owner.dead || !node.notifier) {
      next(index + 1);
      return;
    }
    node.closing = true;
    node.listed = false;
    let over = false;
    const end = (): void => {
      if (over) return;
      over = true;
      stage.kill(node, false);
      for (const dead of nodes) if (dead.owner.dead) stage.startNode(dead.index);
      later(ROLL_PAUSE, () => next(index + 1));
    };
    clock.after(node.owner, 0, () => {
      void node.notifier?.close({ within: 1_000 }).then(() => later(50, end));
    });
    later(GOODBYE, end);
  };
  next(0);
}
