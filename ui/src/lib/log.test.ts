// The order of log lines, and which are kept.

import { expect, it } from 'vitest';
import { logLines } from './log';
import { applyEvent, emptyTrace } from './trace';

it('puts steps and events in order and keeps the end', () => {
  const trace = emptyTrace();
  for (let n = 1; n <= 300; n++) {
    applyEvent(trace, { run: 'r', seq: n * 2, step: n, at_ms: n * 10, elapsed_ms: n, event: 'step', epoch: 0, loss: 1, loss_sum: 1, n_tokens: 1, learning_rate: 1, gradient_norm: 1, tokens_per_s: 1, memory_bytes: 1 });
    if (n % 100 === 0) applyEvent(trace, { run: 'r', seq: n * 2 + 1, step: n, at_ms: n * 10, elapsed_ms: n, event: 'warning', message: 'hot' });
  }
  const lines = logLines(trace, false, 50);
  expect(lines).toHaveLength(50);
  expect(lines.at(-1)).toMatchObject({ event: { event: 'warning', step: 300 } });
  expect(lines.at(-2)).toMatchObject({ step: 300 });
  expect(logLines(trace, true)).toHaveLength(3);
});
