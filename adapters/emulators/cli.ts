#!/usr/bin/env node
/** The command `notify-listen`. Constants go to standard output, so that they can be redirected; the rest does not. */
import { emulate, USAGE, UsageError } from './command.js';

try {
  const emulator = await emulate(process.argv.slice(2));
  if (emulator) {
    for (const [name, value] of Object.entries(emulator.env)) console.log(`${name}=${value}`);
    console.error(`\nListening on ${emulator.url}. Faults: POST ${emulator.url}/__faults. Ctrl-C ends it.`);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void emulator.close());
  } else console.log(USAGE);
} catch (error) {
  const isUsage = error instanceof UsageError;
  console.error(isUsage ? `${error.message}\n\n${USAGE}` : (error as Error).message);
  process.exitCode = isUsage ? 2 : 1;
}
