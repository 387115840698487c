/** Processes that simulate, each of them a part of the histories. */
import { type ChildProcess, fork } from 'node:child_process';
import { join, type Tally } from './report/tally.js';
import type { Answer, Failure, Order } from './worker.js';

export interface Pool {
  /** Runs so many histories; stops early at so many failures. */
  run(seed: number, histories: number, most: number): Promise<{ tally: Tally; failures: readonly Failure[] }>;
  /** The story of one history, whole or as short as it still fails. */
  tell(history: number, how: 'tell' | 'shrink'): Promise<Extract<Answer, { is: 'told' }>>;
  close(): void;
}

/** Histories of one order: small enough that all processes end together. */
const PORTION = 500;
/** Young objects die young: with room for them they are hardly ever copied. */
const FLAGS = ['--max-semi-space-size=64', '--no-warnings'];

export function createPool(file: string, workers: number): Pool {
  const children = Array.from({ length: workers }, () => fork(file, { execArgv: FLAGS }));

  function ask(child: ChildProcess, order: Order): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const ended = (code: number | null): void => reject(new Error(`a worker ended with ${code}`));
      child.once('exit', ended);
      child.once('message', (answer: Answer) => {
        child.off('exit', ended);
        resolve(answer);
      });
      child.send(order);
    });
  }

  return {
    async run(seed, histories, most) {
      const tallies: Tally[] = [];
      const failures: Failure[] = [];
      let next = 0;
      await Promise.all(
        children.map(async (child) => {
          while (next < histories && failures.length < most) {
            const from = next;
            next = Math.min(histories, next + PORTION);
            const answer = await ask(child, { do: 'run', seed, from, to: next, most });
            if (answer.is !== 'done') continue;
            tallies.push(answer.tally);
            failures.push(...answer.failures);
          }
        }),
      );
      return { tally: join(tallies), failures: failures.slice(0, most) };
    },
    async tell(history, how) {
      const answer = await ask(children[0] as ChildProcess, { do: how, history });
      if (answer.is !== 'told') throw new Error('the worker answered something else');
      return answer;
    },
    close() {
      for (const child of children) if (child.connected) child.disconnect();
    },
  };
}
