// Every address leads to a page and back; an unknown one leads home.

import { expect, it } from 'vitest';
import { formatRoute, parseRoute, section, type Route } from './route';

const ALL: Route[] = [
  { place: 'home' }, { place: 'start' }, { place: 'data' }, { place: 'dataset', id: 'a b/ü' }, { place: 'models' }, { place: 'runs' },
  { place: 'new-run' }, { place: 'run', id: 'support-7' }, { place: 'try', run: null }, { place: 'try', run: 'r1' },
  { place: 'serve', run: null }, { place: 'serve', run: 'r1' }, { place: 'settings' },
];

it('comes back from every address', () => {
  for (const route of ALL) expect(parseRoute(formatRoute(route))).toEqual(route);
});

it('leads home from nowhere', () => {
  for (const hash of ['', '#', '#/', '#/nowhere', '#/%E0%A4%A']) expect(parseRoute(hash)).toEqual({ place: 'home' });
});

it('marks the place a page belongs to', () => {
  expect(ALL.map(section)).toEqual([
    'home', 'home', 'data', 'data', 'models', 'runs', 'runs', 'runs', 'try', 'try', 'serve', 'serve', 'settings',
  ]);
});
