// A run is read and then followed without a gap, also after the stream broke.

import { expect, it, vi } from 'vitest';
import type { RunEvent } from '../bindings';
import { testHost } from '../test-host';
import { FollowedRun } from './follow.svelte';

const event = (seq: number): RunEvent => ({
  run: 'r', seq, step: seq, at_ms: seq, elapsed_ms: seq, event: 'step', epoch: 0, loss: 1 / seq, loss_sum: 1, n_tokens: 1, learning_rate: 1, gradient_norm: 1, tokens_per_s: 1, memory_bytes: 1,
});

it('reads what is recorded and follows from the next event; a stream that breaks is taken up again', async () => {
  let status = 'running';
  let streams = 0;
  const { asked } = testHost({
    run_show: () => ({ id: 'r', status, settings: {} }),
    run_history: () => ({ last_seq: 2, steps: { step: [1, 2], epoch: [0, 0], loss: [1, 0.5], learning_rate: [1, 1], gradient_norm: [1, 1], tokens_per_s: [1, 1], memory_bytes: [1, 1], at_ms: [1, 2] }, events: [] }),
    run_follow: (_request, onUpdate) => {
      streams++;
      if (streams === 1) {
        onUpdate({ events: [event(2), event(3)] });
        throw { code: 'internal', message: 'broke off', hint: null, details: null };
      }
      onUpdate({ events: [event(4)] });
      status = 'completed';
      return {};
    },
  });
  const run = new FollowedRun('r');
  await vi.waitFor(() => expect(run.details?.status).toBe('completed'), 3000);
  expect(run.trace.steps.step).toEqual([1, 2, 3, 4]);
  const follows = asked.filter((one) => one.name === 'run_follow').map((one) => one.request);
  expect(follows).toEqual([{ id: 'r', since_seq: 2 }, { id: 'r', since_seq: 3 }]);
  run.stop();
});

it('says why a run cannot be shown', async () => {
  testHost({});
  const run = new FollowedRun('gone');
  await vi.waitFor(() => expect(run.error?.code).toBe('not_found'));
  expect(run.details).toBeNull();
  run.stop();
});
