// When an estimate is asked for, and what is shown when there is none.

import { flushSync } from 'svelte';
import { expect, it, vi } from 'vitest';
import { testHost } from '../test-host';
import { draft } from './draft.svelte';
import { estimates, startDraft, wantVariants, watchEstimate } from './estimate.svelte';

it('asks once for what is chosen, again when it changes, not when only the name does', async () => {
  const { asked } = testHost({ run_estimate: (request: { preset: string }) => ({ seconds: request.preset === 'quick' ? 1 : 2 }) });
  Object.assign(draft, { data: 'd', model: 'm', preset: 'balanced', settings: {}, name: '' });
  const stop = $effect.root(() => watchEstimate());
  flushSync();
  await vi.waitFor(() => expect(estimates.current?.seconds).toBe(2));
  draft.name = 'mine';
  flushSync();
  expect(estimates.busy).toBe(false);
  draft.preset = 'quick';
  flushSync();
  expect(estimates.busy).toBe(true);
  await vi.waitFor(() => expect(estimates.current?.seconds).toBe(1));
  expect(asked).toHaveLength(2);
  expect(asked.every((one) => !('name' in (one.request as object)))).toBe(true);

  await wantVariants([{ preset: 'thorough' }, { preset: 'thorough' }]);
  expect(estimates.of({ preset: 'thorough' })?.seconds).toBe(2);
  expect(asked).toHaveLength(3);
  stop();
});

it('shows why a run cannot be estimated, and starts with the name', async () => {
  const { asked } = testHost({
    run_estimate: () => { throw { code: 'mismatch', message: 'no', hint: null, details: null }; },
    run_start: () => ({ id: 'r7' }),
  });
  Object.assign(draft, { data: 'other', model: 'm', name: ' mine ' });
  const stop = $effect.root(() => watchEstimate());
  flushSync();
  await vi.waitFor(() => expect(estimates.error?.code).toBe('mismatch'));
  expect(estimates.current).toBeNull();
  expect(await startDraft()).toBe('r7');
  expect(asked.at(-1)?.request).toMatchObject({ data: 'other', name: 'mine' });
  stop();
});
