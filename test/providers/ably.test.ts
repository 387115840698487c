import { testDesk } from './desk.js';
import { ABLY } from './providers.js';

testDesk(ABLY);
