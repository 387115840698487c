/** The page of the chaos run, in a browser: the query says whose it is and what it shows. */
import { openScreen, type Screen } from './screen.js';

const query = new URLSearchParams(location.search);

const screen = openScreen({
  origin: '',
  user: query.get('user') ?? '',
  ids: (query.get('ids') ?? '').split(','),
});

export const report: Screen['report'] = screen.report;
export const told: Screen['told'] = screen.told;
