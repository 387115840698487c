/** What our server tells the client half of a token, checked. */
import { ListenError } from '../errors.js';
import type { TokenRequest } from './sdk.js';

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null;

/** Reads `details` of the answer of `/auth`. Throws a `ListenError` (`protocol`) when it is not ours. */
export function readDetails(details: unknown): { tokenRequest: TokenRequest; names: ReadonlyMap<string, string> } {
  if (isRecord(details) && isRecord(details.names) && isRecord(details.tokenRequest)) {
    const names = Object.entries(details.names);
    const isNamed = names.every((entry): entry is [string, string] => typeof entry[1] === 'string');
    if (isNamed && typeof details.tokenRequest.mac === 'string')
      return { tokenRequest: details.tokenRequest as unknown as TokenRequest, names: new Map(names) };
  }
  throw new ListenError('protocol', 'the answer of /auth holds no Ably token request');
}
