/** What the library promises, in WebKitGTK. */
import { openEngine } from '../kit/browsers/index.js';
import { pageLife } from './suite/page-life.js';
import { streaming } from './suite/streaming.js';
import { browse } from './visit.js';

const browsing = browse(openEngine('WebKitGTK'));
streaming(browsing);
pageLife(browsing);
