/** The people picker: one click is the login. */
import { type ReactNode, useEffect, useState } from 'react';
import type { Person } from '../server/people.js';
import { me, id as personHere } from './person.js';

/** Logs a person in, under that person's own path. */
export async function logIn(id: string): Promise<Person> {
  const response = await fetch(`/as/${id}/api/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  });
  if (!response.ok) throw new Error(`The server answered ${response.status}.`);
  return response.json();
}

export function SignIn(): ReactNode {
  const [people, setPeople] = useState<readonly Person[]>([]);
  const [problem, setProblem] = useState('');

  useEffect(() => {
    fetch('/api/people')
      .then((response) => response.json())
      .then(setPeople)
      .catch((error: Error) => setProblem(error.message));
  }, []);

  async function choose(id: string): Promise<void> {
    try {
      const person = await logIn(id);
      if (id === personHere) me.set(person);
      else window.location.assign(`/as/${id}/orders`);
    } catch (error) {
      setProblem(error instanceof Error ? error.message : String(error));
    }
  }

  return (
    <main className="sign-in">
      <h1>Who are you?</h1>
      <p>One click is the login. Each person has a desk and a login of their own, also side by side in one window.</p>
      <ul>
        {people.map((person) => (
          <li key={person.id}>
            <button type="button" onClick={() => void choose(person.id)}>
              <span className={`avatar avatar-${person.id}`} aria-hidden="true">
                {person.name.charAt(0)}
              </span>
              <span>
                <strong>{person.name}</strong>
                <small>{person.about}</small>
              </span>
            </button>
          </li>
        ))}
      </ul>
      <p role="alert">{problem}</p>
    </main>
  );
}
