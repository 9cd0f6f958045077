// A dropped or typed path as a person meets it: reading, refusal, keeping the good rows.

import { render, screen } from '@testing-library/svelte';
import { tick } from 'svelte';
import { beforeEach, expect, it, vi } from 'vitest';
import { draft } from '../state/draft.svelte';
import { watchDrops } from '../state/drop.svelte';
import { forgetRefusal } from '../state/import.svelte';
import { testHost } from '../test-host';
import DropTarget from './DropTarget.svelte';

const DETAILS = {
  id: 'spam', hash: 'ab', kind: 'text_label', n_rows: 4798, n_bad: 14, name: 'spam', format: 'csv', n_bytes: 500_000, task: 'classify', source_path: '/d/spam.csv', created_at_ms: 0, columns: [],
  labels: [{ label: 'ham', n_rows: 4000 }, { label: 'spam', n_rows: 798 }], examples: [{ turns: [{ role: 'text', content: 'free prize' }], label: 'spam' }], bad_rows: [],
};

beforeEach(() => {
  draft.data = null;
  forgetRefusal();
});

it('reads a dropped file, shows why it was refused, and keeps the good rows on request', async () => {
  const { asked, drop } = testHost({
    path_inspect: () => ({ path: '/d/spam.csv', name: 'spam.csv', kind: 'data', n_bytes: 1 }),
    data_list: () => [],
    data_import: (request: { keep_good: boolean }) => {
      if (request.keep_good) return DETAILS;
      throw { code: 'bad_rows', message: '14 rows cannot be used', hint: null, details: { kind: 'bad_rows', n_good: 4798, n_bad: 14, first: [{ line: 3, column: 12, reason: 'a quote is never closed' }] } };
    },
  });
  const stop = watchDrops();
  render(DropTarget);
  const target = screen.getByTestId('drop-target');
  expect(target).toHaveAttribute('data-state', 'idle');

  drop({ phase: 'over' });
  await tick();
  expect(target).toHaveAttribute('data-state', 'over');
  drop({ phase: 'dropped', paths: ['/d/spam.csv'] });
  await vi.waitFor(() => expect(screen.getByTestId('import-error')).toHaveTextContent('Line 3, column 12'));

  screen.getByTestId('keep-good').click();
  await vi.waitFor(() => expect(target).toHaveAttribute('data-state', 'ready'));
  expect(screen.getByTestId('recognised')).toHaveTextContent('Texts with labels, ready to train');
  expect(target).toHaveTextContent('free prize');
  expect(target).toHaveTextContent('14 rows were left out');
  expect(asked.filter((one) => one.name === 'data_import').map((one) => one.request)).toEqual([
    { path: '/d/spam.csv', keep_good: false }, { path: '/d/spam.csv', keep_good: true },
  ]);
  expect(draft.data).toBe('spam');
  stop();
});

it('reads a typed path', async () => {
  const { asked } = testHost({ data_import: () => ({ ...DETAILS, n_bad: 0 }), data_list: () => [] });
  render(DropTarget);
  const field = screen.getByTestId<HTMLInputElement>('data-path');
  field.value = ' /d/spam.csv ';
  field.dispatchEvent(new Event('input', { bubbles: true }));
  await tick();
  screen.getByTestId('data-read').click();
  await vi.waitFor(() => expect(screen.getByTestId('drop-target')).toHaveAttribute('data-state', 'ready'));
  expect(asked[0]).toEqual({ name: 'data_import', request: { path: '/d/spam.csv', keep_good: false } });
});
