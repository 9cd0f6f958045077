// What is known of a run is the same whether it was read or followed.

import { describe, expect, it } from 'vitest';
import type { RunEvent } from '../bindings';
import { applyEvent, bestEvaluation, checkEvery, emptyTrace, secondsLeft, stretchBegan, traceOf, type Trace } from './trace';

const at = (seq: number, step: number) => ({ run: 'r', seq, step, at_ms: 1000 * seq, elapsed_ms: 100 * seq });
const step = (seq: number, n: number, loss = 1): RunEvent => ({
  ...at(seq, n), event: 'step', epoch: n / 10, loss, loss_sum: loss * 4, n_tokens: 4, learning_rate: 1e-4, gradient_norm: 1,
  tokens_per_s: 100, memory_bytes: 5,
});
const evaluated = (seq: number, n: number, loss: number): RunEvent => ({
  ...at(seq, n), event: 'evaluated', loss, n: 10, perplexity: Math.exp(loss), accuracy: null, f1_macro: null, best: false,
});

function played(events: RunEvent[]): Trace {
  const trace = emptyTrace();
  events.forEach((event) => applyEvent(trace, event));
  return trace;
}

describe('a trace', () => {
  it('is the same whether it was read or followed', () => {
    const events = [step(1, 1, 3), step(2, 2, 2), evaluated(3, 2, 1.5), step(4, 3, 1)];
    const followed = played(events);
    const steps = { ...emptyTrace().steps };
    const read = traceOf({ last_seq: 3, steps: { ...steps, step: [1, 2], loss: [3, 2], epoch: [0.1, 0.2], learning_rate: [1e-4, 1e-4],
      gradient_norm: [1, 1], tokens_per_s: [100, 100], memory_bytes: [5, 5], at_ms: [1000, 2000] }, events: [evaluated(3, 2, 1.5)] });
    events.forEach((event) => applyEvent(read, event));
    expect(read.steps).toEqual(followed.steps);
    expect(read.evaluations).toEqual(followed.evaluations);
    expect(read.lastSeq).toBe(4);
  });

  it('hears the same again without a trace', () => {
    const trace = played([step(1, 1), step(1, 1), step(2, 2), step(2, 2)]);
    expect(trace.steps.step).toEqual([1, 2]);
    expect(trace.lastSeq).toBe(2);
  });

  it('goes back with a run that goes on from an earlier checkpoint', () => {
    const sample: RunEvent = { ...at(5, 3), event: 'sample', prompt: 'p', answer: 'a', stop_reason: 'stop' };
    const trace = played([step(1, 1), evaluated(2, 1, 2), step(3, 2), step(4, 3), sample, { ...at(6, 3), event: 'paused' }]);
    applyEvent(trace, { ...at(3, 1), event: 'resumed' });
    expect([trace.steps.step, trace.samples, trace.ended, trace.lastSeq]).toEqual([[1], [], null, 3]);
    expect(trace.evaluations).toHaveLength(1);
    applyEvent(trace, step(4, 2, 9));
    expect(trace.steps.loss).toEqual([1, 9]);
    expect(trace.events.map((event) => event.event)).toEqual(['evaluated', 'resumed']);
  });

  it('forgets steps that are done again after a resume', () => {
    const trace = played([step(1, 1), step(2, 2), evaluated(3, 2, 1), step(4, 3), step(5, 2, 9)]);
    expect(trace.steps.step).toEqual([1, 2]);
    expect(trace.steps.loss).toEqual([1, 9]);
    expect(trace.evaluations).toEqual([]);
  });

  it('knows whether it works, waits or ended', () => {
    const trace = played([step(1, 1), { ...at(2, 1), event: 'paused' }]);
    expect(trace.ended?.event).toBe('paused');
    applyEvent(trace, { ...at(3, 1), event: 'resumed' });
    expect(trace.ended).toBeNull();
    applyEvent(trace, { ...at(4, 1), event: 'phase', name: 'evaluating', unit: 'rows', done: 3, total: 9 });
    expect(trace.phase).toEqual({ name: 'evaluating', unit: 'rows', done: 3, total: 9 });
    applyEvent(trace, { ...at(0, 0), event: 'phase', name: 'evaluating', unit: 'rows', done: 4, total: 9 });
    expect([trace.lastSeq, trace.steps.step]).toEqual([3, [1]]);
    applyEvent(trace, { ...at(5, 1), event: 'failed', code: 'disk_full', message: 'full', hint: null });
    expect(trace.ended?.event).toBe('failed');
    expect(trace.phase).toBeNull();
  });
});

it('reads a history in which steps were done twice', () => {
  const columns = { ...emptyTrace().steps, step: [1, 2, 3, 2, 3, 4], loss: [5, 4, 3, 40, 30, 1.7e308] };
  const trace = traceOf({ last_seq: 9, steps: { ...columns, epoch: [1, 2, 3, 4, 5, 6], learning_rate: [1, 2, 3, 4, 5, 6], gradient_norm: [1, 2, 3, 4, 5, 6], tokens_per_s: [1, 2, 3, 4, 5, 6], memory_bytes: [1, 2, 3, 4, 5, 6], at_ms: [1, 2, 3, 4, 5, 6] }, events: [] });
  expect(trace.steps.step).toEqual([1, 2, 3, 4]);
  expect(trace.steps.loss).toEqual([5, 40, 30, Number.NaN]);
  expect(trace.steps.at_ms).toEqual([1, 4, 5, 6]);
});

it('finds the best check', () => {
  const trace = played([evaluated(1, 0, 2), evaluated(2, 50, 1), evaluated(3, 100, 1)]);
  expect(bestEvaluation(trace.evaluations)?.step).toBe(50);
  expect(bestEvaluation([])).toBeNull();
  expect(checkEvery(trace.evaluations)).toBe(50);
});

it('tells the time left from the steps so far', () => {
  const trace = played([step(1, 1), step(2, 2)]);
  expect(secondsLeft(trace.steps, 10)).toBeNull();
  applyEvent(trace, step(3, 3));
  expect(secondsLeft(trace.steps, 10)).toBe(7);
  expect(secondsLeft(trace.steps, null)).toBeNull();
  // Only what was done since the run went on counts.
  expect(secondsLeft(trace.steps, 10, 2000)).toBeNull();
  expect(secondsLeft(trace.steps, 10, 1000)).toBe(7);
  expect(stretchBegan([{ ...at(7, 3), event: 'resumed' }, { ...at(9, 3), event: 'warning', message: '' }])).toBe(7000);
});
