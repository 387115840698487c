/**
 * What the engine's own smallest round trip costs, by the same client library, in the same process and moment: the figure
 * that the machine's other load moves along with ours.
 */
import { closeSync, fdatasyncSync, openSync, rmSync, writeSync } from 'node:fs';

export interface Bare {
  readonly what: string;
  trip(): unknown;
  close(): unknown;
}

/** As long as an entry in a file log. */
const LINE = Buffer.alloc(250, 'x');

/** Of the engine of a log; none for the memory of the own process. */
export async function bareOf(address: string): Promise<Bare | undefined> {
  if (address.startsWith('redis:')) {
    const { Redis } = await import('ioredis');
    const client = new Redis(address);
    return { what: 'PING', trip: () => client.ping(), close: () => client.disconnect() };
  }
  if (address.startsWith('postgres:')) {
    const { default: pg } = await import('pg');
    const client = new pg.Client(address);
    await client.connect();
    return { what: 'SELECT 1', trip: () => client.query('SELECT 1'), close: () => client.end() };
  }
  if (address.startsWith('nats:')) {
    const { connect } = await import('nats');
    const client = await connect({ servers: address.replace('nats://', '') });
    return { what: 'PING', trip: () => client.flush(), close: () => client.close() };
  }
  if (address.startsWith('file:')) {
    const path = `${address.slice('file:'.length)}.bare`;
    const file = openSync(path, 'a');
    return {
      what: 'write, fdatasync',
      trip() {
        writeSync(file, LINE);
        fdatasyncSync(file);
      },
      close() {
        closeSync(file);
        rmSync(path);
      },
    };
  }
  return undefined;
}
