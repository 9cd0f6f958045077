// The small curve of a run in the list.

import { expect, it } from 'vitest';
import { SPARK_HEIGHT, SPARK_WIDTH, spark } from './spark';

it('spans the planned steps', () => {
  const half = spark([{ step: 0, loss: 2 }, { step: 50, loss: 1 }], 100);
  const whole = spark([{ step: 0, loss: 2 }, { step: 50, loss: 1 }], 50);
  expect(half?.end.x).toBeLessThan((whole?.end.x ?? 0) / 1.8);
  expect(whole?.end.x).toBeLessThanOrEqual(SPARK_WIDTH);
  expect(whole?.end.y).toBeLessThanOrEqual(SPARK_HEIGHT);
});

it('says when the loss rose, and draws nothing from nothing', () => {
  expect(spark([{ step: 0, loss: 1 }, { step: 1, loss: 2 }], 2)?.rose).toBe(true);
  expect(spark([{ step: 0, loss: 2 }, { step: 1, loss: 1 }], 2)?.rose).toBe(false);
  expect(spark([], 10)).toBeNull();
  expect(spark([{ step: 1, loss: 1 }], 10)).toBeNull();
});
