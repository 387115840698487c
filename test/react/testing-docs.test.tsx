/** The tests that docs/testing.md shows, run as an application would run them: React, happy-dom, no network. */
import '../docs/testing/order-page.js';
