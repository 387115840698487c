/**
 * Bounds every answer of Pusher's API, in time and in size. The SDK limits only the time up to an answer's headers; its
 * HTTP library never settles when a body with a length is cut, and reads as much as comes. All of its calls go through
 * one agent, so the bounds are set there, and hold for refusals too, whose body the SDK reads by itself.
 */
import type { ClientRequest, Agent as HttpAgent, IncomingMessage } from 'node:http';

/** Pusher answers with less than 1 KiB, and a proxy's page of an error is seldom larger than this. */
export const MAX_ANSWER_BYTES = 65_536;

type AddRequest = (request: ClientRequest, ...more: unknown[]) => void;

/** Gives up each request of the agent that is not wholly answered after `ms` milliseconds, or not in 64 KiB. */
export function bounded<Agent extends HttpAgent>(agent: Agent, ms: number): Agent {
  // Not in the types of Node, but it is what its own `request` calls, and what other agents override.
  const hooked = agent as unknown as { addRequest: AddRequest };
  const add = hooked.addRequest.bind(agent);
  hooked.addRequest = (request, ...more) => {
    watch(request, ms);
    add(request, ...more);
  };
  return agent;
}

function watch(request: ClientRequest, ms: number): void {
  const timer = setTimeout(() => request.destroy(new Error(`no whole answer within ${ms} ms`)), ms);
  // The socket keeps the process, and ends with it.
  timer.unref();
  request.once('close', () => clearTimeout(timer));
  request.once('response', (answer: IncomingMessage) => {
    let bytes = 0;
    answer.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_ANSWER_BYTES) request.destroy(new Error(`an answer of more than ${MAX_ANSWER_BYTES} bytes`));
    });
    // A cut in the body is told to the answer alone, where the SDK's HTTP library does not listen.
    answer.once('error', (error) => {
      if (request.listenerCount('error') > 0) request.emit('error', error);
    });
  });
}
