/** The people of the order desk and their rights. A real application keeps them in its database. */

export const DEPOTS: readonly string[] = ['Harbour', 'Hill', 'Airport'];

export interface Person {
  readonly id: string;
  readonly name: string;
  /** One sentence for the people picker. */
  readonly about: string;
  /** Whose orders this person may see. Every question to the database carries them. */
  readonly depots: readonly string[];
  /** May change orders. */
  readonly mayChange: boolean;
  /** May listen at all: without it the pages work, and do not refresh by themselves. */
  readonly mayListen: boolean;
}

export const people: readonly Person[] = [
  {
    id: 'ann',
    name: 'Ann',
    about: 'Clerk. Sees every order and may change it.',
    depots: DEPOTS,
    mayChange: true,
    mayListen: true,
  },
  {
    id: 'ben',
    name: 'Ben',
    about: 'Clerk. Sees every order and may change it.',
    depots: DEPOTS,
    mayChange: true,
    mayListen: true,
  },
  {
    id: 'cleo',
    name: 'Cleo',
    about: 'Runs the Harbour depot. Sees and changes its orders only.',
    depots: ['Harbour'],
    mayChange: true,
    mayListen: true,
  },
  {
    id: 'dan',
    name: 'Dan',
    about: 'Auditor. Reads every order, and has no right to listen.',
    depots: DEPOTS,
    mayChange: false,
    mayListen: false,
  },
];

export function personOf(id: unknown): Person | undefined {
  return people.find((person) => person.id === id);
}
