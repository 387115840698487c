import { testFaults } from './desk.js';
import { PUSHER } from './providers.js';

testFaults(PUSHER);
