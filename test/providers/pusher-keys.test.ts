import { testWrongKeys } from './desk.js';
import { PUSHER } from './providers.js';

testWrongKeys(PUSHER);
