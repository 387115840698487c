/** What an application may get wrong in the options of `createNotifier`. */
import { SHORTEST_DURATION } from './duration.js';
import type { NotifierOptions } from './types.js';

/** What is wrong with the options, one sentence for each mistake. */
export function mistakesIn(options: NotifierOptions): string[] {
  const mistakes: string[] = [];
  if (typeof options.user !== 'function') mistakes.push('user: must be a function from the request to a user');
  if (typeof options.canListen !== 'object' || options.canListen === null) {
    mistakes.push(
      'canListen: must name the entities that may be listened to, such as { Order: { one: (user, id) => … } }',
    );
  }
  for (const [entity, rule] of Object.entries(options.canListen ?? {})) {
    for (const name of ['one', 'many', 'all'] as const) {
      if (rule?.[name] !== undefined && typeof rule[name] !== 'function')
        mistakes.push(`canListen.${entity}.${name}: must be a function`);
    }
    if (!rule?.one && !rule?.many && !rule?.all)
      mistakes.push(`canListen.${entity}: needs one, many or all; without the entity it is denied`);
  }
  for (const name of ['accessTimeout', 'grantLife', 'heartbeat', 'historyCap', 'notifyTimeout'] as const) {
    const value = options[name];
    if (value !== undefined && !(Number.isFinite(value) && value > 0))
      mistakes.push(`${name}: must be a number above 0`);
  }
  const { maxDuration } = options;
  if (maxDuration !== undefined && !(Number.isFinite(maxDuration) && maxDuration >= SHORTEST_DURATION))
    mistakes.push(`maxDuration: must be a number of milliseconds, at least ${SHORTEST_DURATION}`);
  for (const [name, value] of Object.entries(options.limits ?? {})) {
    if (!(typeof value === 'number' && value > 0)) mistakes.push(`limits.${name}: must be a number above 0`);
  }
  for (const origin of options.origins ?? []) {
    if (!URL.canParse(origin) || new URL(origin).origin !== origin)
      mistakes.push(`origins: "${origin}" must be an origin such as https://app.example`);
  }
  return mistakes;
}
