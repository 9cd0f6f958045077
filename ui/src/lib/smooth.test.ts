// The smoothed curve: true to lines, the same when continued, calmer than its input.

import { expect, it } from 'vitest';
import { smooth, smoothingWidths } from './smooth';

it('keeps a straight line straight, to its ends', () => {
  const line = Array.from({ length: 50 }, (_, i) => 3 - i * 0.1);
  smooth(line, 5).forEach((value, i) => expect(value).toBeCloseTo(line[i] as number, 9));
});

it('leaves values as they are at width 0 and for a single point', () => {
  expect(smooth([1, 2, 9], 0)).toEqual([1, 2, 9]);
  expect(smooth([4], 5)).toEqual([4]);
});

it('continues from an earlier result to the same curve', () => {
  const values = Array.from({ length: 300 }, (_, i) => Math.sin(i / 9) + ((i * 7919) % 13) / 13);
  const before = smooth(values.slice(0, 250), 7);
  const whole = smooth(values, 7);
  smooth(values, 7, before).forEach((value, i) => expect(value).toBeCloseTo(whole[i] as number, 12));
});

it('lessens noise', () => {
  const noisy = Array.from({ length: 200 }, (_, i) => (i % 2 ? 1 : -1));
  expect(Math.max(...smooth(noisy, 6).slice(30, 170).map(Math.abs))).toBeLessThan(0.01);
});

it('offers widths that grow', () => {
  for (const n of [1, 40, 542, 100_000]) {
    const widths = smoothingWidths(n);
    expect(widths[0]).toBe(0);
    expect([...widths].sort((a, b) => a - b)).toEqual(widths);
  }
});

it('leaves out what is not a number', () => {
  const values = [1, 1, Number.NaN, 1, 1];
  expect(smooth(values, 1).every((value) => Math.abs(value - 1) < 1e-9)).toBe(true);
  expect(smooth([Number.NaN], 2)[0]).toBeNaN();
});
