/**
 * ACK and NACK: what a client wants to be acknowledged is taken once for each msgSerial. On one socket a repeated frame is
 * passed over; sent again on another socket, after the client came back, it is answered as the first time.
 */
import { asAblyError } from './errors.js';
import { ACTION, type ProtocolMessage } from './protocol.js';

/** Answers that are kept for a client that sends again after it came back; more are not in flight. */
const MAX_ANSWERS = 1_000;

export interface Acknowledgements {
  /** Another socket carries the connection. */
  renew(): void;
  /** @param take what becomes of the frame: a serial for each message; what it throws is the NACK */
  answer(frame: ProtocolMessage, take: () => readonly (string | null)[]): void;
}

export function createAcknowledgements(send: (frame: ProtocolMessage) => void): Acknowledgements {
  const answers = new Map<number, ProtocolMessage>();
  let taken = -1;
  let takenHere = -1;
  return {
    renew() {
      takenHere = -1;
    },
    answer({ msgSerial = 0 }, take) {
      if (msgSerial <= takenHere) return;
      takenHere = msgSerial;
      const before = msgSerial <= taken ? answers.get(msgSerial) : undefined;
      if (before) return void send(before);
      taken = Math.max(taken, msgSerial);
      let answer: ProtocolMessage;
      try {
        answer = { action: ACTION.ACK, msgSerial, count: 1, res: [{ serials: take() }] };
      } catch (thrown) {
        answer = { action: ACTION.NACK, msgSerial, count: 1, error: asAblyError(thrown).info };
      }
      answers.set(msgSerial, answer);
      for (const old of answers.keys()) {
        if (answers.size <= MAX_ANSWERS) break;
        answers.delete(old);
      }
      send(answer);
    },
  };
}
