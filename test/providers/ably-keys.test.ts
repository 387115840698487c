import { testWrongKeys } from './desk.js';
import { ABLY } from './providers.js';

testWrongKeys(ABLY);
