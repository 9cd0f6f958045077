// Round numbers on axes, linear and logarithmic.

import { expect, it } from 'vitest';
import { logTicks, span, ticks, topTick } from './ticks';

it('takes round steps', () => {
  expect(ticks(1.2, 2.75)).toEqual([1.5, 2, 2.5]);
  expect(ticks(0, 542)).toEqual([0, 200, 400]);
  expect(ticks(0, 1000, 2)).toEqual([0, 500, 1000]);
  expect(ticks(0.1, 0.3, 4)).toEqual([0.1, 0.15, 0.2, 0.25, 0.3]);
  expect(ticks(5, 5)).toEqual([5]);
});

it('takes decades and halves on a logarithmic axis', () => {
  expect(logTicks(0.9, 12)).toEqual([1, 2, 5, 10]);
  expect(logTicks(0, 1)).toEqual([]);
  expect(logTicks(1.31, 1.44).length).toBeGreaterThan(0);
});

it('spans values and leaves out the wildest of many', () => {
  expect(span([])).toEqual([0, 1]);
  const [low, high] = span([[1, null, 3]], 0);
  expect([low, high]).toEqual([1, 3]);
  const many = Array.from({ length: 1000 }, (_, i) => i / 1000);
  many[500] = 1e6;
  expect(span([many])[1]).toBeLessThan(2);
  const [same, other] = span([[2, 2]]);
  expect(same).toBeLessThan(2);
  expect(other).toBeGreaterThan(2);
});

it('names one round value near the top of a small chart', () => {
  expect([903, 2.3, 1.19, 2e-4, 0].map((high) => topTick(high).tick)).toEqual([1000, 2, 1, 2e-4, 1]);
  for (const high of [903, 2.3, 1.19, 2e-4]) expect(topTick(high).end).toBeGreaterThanOrEqual(high);
});
