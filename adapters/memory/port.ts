/** How the two halves of the memory adapter meet in one process: events as objects, without bytes and without a network. */
import type { Interest } from '../contract.js';
import type { ListenError } from '../errors.js';
import type { Position } from '../position.js';
import type { ServerEvent } from '../protocol.js';

/** Who hears what the server half says. Called from microtasks, never from inside `connect`. */
export interface MemoryReceiver {
  /** `id`: everything up to it, for every channel of the link, was delivered before. */
  event(event: ServerEvent, id?: Position): void;
  /** The link ended, and not by `close`. Nothing comes after it. */
  ended(error: ListenError): void;
}

export interface MemoryLink {
  /** Ends the link. Nothing comes after it. */
  close(): void;
}

/** What the client half connects to. */
export interface MemoryPort {
  /** Opens a link. Whoever may not listen at all learns it by `ended`. */
  connect(interest: Interest, receiver: MemoryReceiver): MemoryLink;
}
