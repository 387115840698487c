import { testFaults } from './desk.js';
import { ABLY } from './providers.js';

testFaults(ABLY);
