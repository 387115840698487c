/** What the library promises, in Chromium. */
import { openEngine } from '../kit/browsers/index.js';
import { pageLife } from './suite/page-life.js';
import { streaming } from './suite/streaming.js';
import { browse } from './visit.js';

const browsing = browse(openEngine('Chromium'));
streaming(browsing);
pageLife(browsing);
