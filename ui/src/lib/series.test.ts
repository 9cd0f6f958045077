// Recorded steps and checks as the columns of a chart, and as CSV.

import { expect, it } from 'vitest';
import { csvOf, lossLines } from './series';
import { emptyTrace, type Evaluated, type Trace } from './trace';

const check = (step: number, loss: number): Evaluated => ({
  run: 'r', seq: 1, step, at_ms: 0, elapsed_ms: 0, event: 'evaluated', loss, n: 1, perplexity: null, accuracy: null, f1_macro: null, best: false,
});

function trace(): Trace {
  const out = emptyTrace();
  out.steps = { step: [1, 2, 3], epoch: [0.1, 0.2, 0.3], loss: [3, 2, 1], learning_rate: [1, 1, 1], gradient_norm: [1, 1, 1], tokens_per_s: [9, 9, 9], memory_bytes: [5, 5, 5], at_ms: [1, 2, 3] };
  out.evaluations = [check(0, 4), check(2, 2.5)];
  return out;
}

it('puts checks on the steps they belong to, the base before the first', () => {
  const lines = lossLines(trace(), 0);
  expect(lines.x).toEqual([0, 1, 2, 3]);
  expect(lines.raw).toEqual([null, 3, 2, 1]);
  expect(lines.smooth).toEqual([null, 3, 2, 1]);
  expect(lines.validation).toEqual([4, null, 2.5, null]);
});

it('shows a base check before any step', () => {
  const out = emptyTrace();
  out.evaluations = [check(0, 4)];
  expect(lossLines(out, 3)).toMatchObject({ x: [0], validation: [4] });
});

it('writes every step and check into the CSV', () => {
  const lines = csvOf(trace()).trimEnd().split('\n');
  expect(lines).toHaveLength(5);
  expect(lines[1]).toBe('0,0,,4,,,,');
  expect(lines[3]).toBe('2,0.2,2,2.5,1,1,9,5');
});
