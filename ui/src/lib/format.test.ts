// Numbers, sizes, times and shares as people read them.

import { describe, expect, it } from 'vitest';
import { bytes, duration, fileName, fixed, group, inUnitOf, measure, moment, percent, rate, rateFixed, seconds, short } from './format';

const plain = (text: string) => text.replaceAll('\u00a0', ' ');

describe('numbers', () => {
  it('groups thousands', () => {
    expect(group(4812)).toBe('4,812');
    expect(group(848760)).toBe('848,760');
    expect(group(12)).toBe('12');
    expect(fixed(-0.0001, 2)).toBe('0.00');
    expect(fixed(-12345.6, 1)).toBe('−12,345.6');
  });
  it('gives sizes two or three figures', () => {
    expect([999, 15_300, 6_200_000, 269_000_000, 1_280_000_000, 14_200_000_000].map(bytes).map(plain)).toEqual([
      '999 bytes', '15 kB', '6.2 MB', '269 MB', '1.28 GB', '14.2 GB',
    ]);
    expect(plain(bytes(999_999_999))).toBe('1.00 GB');
    expect([540_000_000, 1_280_000_000].map(inUnitOf(1_280_000_000)).map(plain)).toEqual(['0.54 GB', '1.28 GB']);
    expect([3_600_000, 133_000_000].map(inUnitOf(133_000_000)).map(plain)).toEqual(['4 MB', '133 MB']);
  });
  it('gives times one or two units', () => {
    expect([0.2, 12, 59.6, 300, 6720, 7200, 200_000].map(duration).map(plain)).toEqual([
      'under 1 s', '12 s', '1 min', '5 min', '1 h 52 min', '2 h', '2 days 7 h',
    ]);
    expect([0.64, 0.02].map(seconds).map(plain)).toEqual(['0.6 s', '20 ms']);
  });
  it('writes rates and shares as the field does', () => {
    expect([7.97e-5, 2e-4, 0.01, 0].map(rate)).toEqual(['7.97e-5', '2e-4', '0.01', '0']);
    expect([7.5e-5, 2e-4].map(rateFixed)).toEqual(['7.50e-5', '2.00e-4']);
    expect(plain(percent(0.827))).toBe('82.7 %');
    expect([1.31, 11.94, 120.55].map(measure)).toEqual(['1.310', '11.94', '120.5']);
    expect(measure(Number.NaN)).toBe('·');
    expect([9_770_000, 135_000_000, 512, 1_720_000_000].map(short).map(plain)).toEqual(['9.77 M', '135 M', '512', '1.72 B']);
  });
});

describe('instants', () => {
  const now = new Date(2026, 10, 20, 15, 0).getTime();
  it('names the day only when it is another', () => {
    expect(moment(new Date(2026, 10, 20, 14, 2).getTime(), now)).toBe('Today 14:02');
    expect(plain(moment(new Date(2026, 10, 19, 18, 6).getTime(), now))).toBe('19 Nov 18:06');
    expect(plain(moment(new Date(2025, 10, 19, 18, 6).getTime(), now))).toBe('19 Nov 2025');
  });
});

it('takes the last part of any path', () => {
  expect(fileName('/a/b/c.jsonl')).toBe('c.jsonl');
  expect(fileName('C:\\data\\c.csv')).toBe('c.csv');
  expect(fileName('/a/b/')).toBe('b');
});
