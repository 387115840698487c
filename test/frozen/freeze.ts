/** Builds the client of today as a page would load it, for `README.md` beside this file. */
import { existsSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { PROTOCOL_VERSION } from '../../adapters/protocol.js';
import { bundle } from '../kit/bundle.js';

const root = fileURLToPath(new URL('../..', import.meta.url));
const name = `client-v${PROTOCOL_VERSION}.mjs`;
const file = fileURLToPath(new URL(name, import.meta.url));

if (existsSync(file) && !process.argv.includes('--again')) {
  console.error(`${name} exists and is not changed; --again overwrites it, for a version that was never released`);
  process.exit(1);
}
const { code, size } = await bundle(root, { entry: 'widget/client/index.ts' });
writeFileSync(file, `// Frozen: see README.md. Protocol version ${PROTOCOL_VERSION}.\n${code}`);
console.log(`${name}: ${code.length} bytes, ${size} after gzip`);
