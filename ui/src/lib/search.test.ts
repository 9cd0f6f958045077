// What a search finds, and what it marks in the text.

import { expect, it } from 'vitest';
import { marked, score } from './search';

it('wants every word and prefers beginnings', () => {
  expect(score('', 'anything')).toBeGreaterThan(0);
  expect(score('sup run', 'Pause support-7')).toBe(0);
  expect(score('sup', 'support-7')).toBeGreaterThan(score('sup', 'Pause support-7'));
  expect(score('sup', 'Pause support-7')).toBeGreaterThan(score('sup', 'resupply'));
});

it('marks what was found and loses nothing', () => {
  const parts = marked('sup', 'Pause support-7');
  expect(parts).toEqual([{ text: 'Pause ', hit: false }, { text: 'sup', hit: true }, { text: 'port-7', hit: false }]);
  expect(marked('zzz', 'abc')).toEqual([{ text: 'abc', hit: false }]);
});
