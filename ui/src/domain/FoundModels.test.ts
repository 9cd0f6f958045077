// What other programs fetched: nothing is shown where there is nothing, and one click takes a model where it lies.
import { render, screen } from '@testing-library/svelte';
import { expect, it, vi } from 'vitest';
import { draft } from '../state/draft.svelte';
import { refreshModels } from '../state/library.svelte';
import { testHost } from '../test-host';
import FoundModels from './FoundModels.svelte';

it('offers what was found, and takes it with one click', async () => {
  let found = [{ name: 'o/tiny', path: '/c/models--o--tiny/snapshots/1', n_bytes: 2_000_000 }];
  const { asked } = testHost({
    models_list: () => [],
    models_found: () => found,
    model_add: () => ((found = []), { id: 'tiny' }),
  });
  const onuse = vi.fn();
  render(FoundModels, { onuse });
  expect(screen.queryByTestId('found-models')).toBeNull();

  await refreshModels();
  await vi.waitFor(() => expect(screen.getByTestId('found-models')).toHaveTextContent('o/tiny'));
  screen.getByRole('button', { name: 'Use o/tiny' }).click();
  await vi.waitFor(() => expect(onuse).toHaveBeenCalledOnce());
  expect(asked.find((one) => one.name === 'model_add')?.request).toEqual({ path: '/c/models--o--tiny/snapshots/1', name: 'tiny' });
  expect(draft.model).toBe('tiny');
  await vi.waitFor(() => expect(screen.queryByTestId('found-models')).toBeNull());
});
