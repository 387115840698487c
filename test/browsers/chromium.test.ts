/** What the library promises, in Chromium. */
import { leader } from './suite/leader.js';
import { pageLife } from './suite/page-life.js';
import { streaming } from './suite/streaming.js';
import { tabs } from './suite/tabs.js';
import { browse } from './visit.js';

const browsing = browse('Chromium');
streaming(browsing);
pageLife(browsing);
tabs(browsing);
leader(browsing);
