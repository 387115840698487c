import { testDesk } from './desk.js';
import { PUSHER } from './providers.js';

testDesk(PUSHER);
