// One setting in the form: what fits goes on, what does not is refused with the nearest value.

import { render, screen } from '@testing-library/svelte';
import { tick } from 'svelte';
import { expect, it, vi } from 'vitest';
import type { SettingSpec } from '../bindings';
import SettingRow from './SettingRow.svelte';

const SPEC: SettingSpec = { name: 'rank', label: 'Rank', group: 'adapter', kind: 'integer', unit: null, default: 16, minimum: 1, maximum: 256, choices: [], sentence: 'How much the adapter can hold.', when: [] };

async function type(text: string): Promise<void> {
  const input = screen.getByTestId<HTMLInputElement>('input-rank');
  input.dispatchEvent(new FocusEvent('focus'));
  input.value = text;
  input.dispatchEvent(new Event('input', { bubbles: true }));
  await tick();
}

it('hands on what fits', async () => {
  const onChange = vi.fn();
  render(SettingRow, { spec: SPEC, value: 16, basis: 16, presetLabel: null, onChange });
  await type('32');
  expect(onChange).toHaveBeenCalledExactlyOnceWith(32);
});

it('refuses what does not, says why and offers the nearest value', async () => {
  const onChange = vi.fn();
  render(SettingRow, { spec: SPEC, value: 16, basis: 16, presetLabel: null, onChange });
  await type('999');
  expect(screen.getByRole('alert')).toHaveTextContent('The largest value is 256.');
  expect(screen.getByTestId('input-rank')).toHaveAttribute('aria-invalid', 'true');
  expect(onChange).not.toHaveBeenCalled();
  screen.getByText('Use 256').click();
  expect(onChange).toHaveBeenCalledExactlyOnceWith(256);
});

it('marks a change and takes it back', () => {
  const onChange = vi.fn();
  render(SettingRow, { spec: SPEC, value: 32, basis: 16, presetLabel: null, onChange });
  expect(screen.getByTestId('setting-rank')).toHaveClass('changed');
  expect(screen.getByTestId('setting-rank')).toHaveTextContent('was 16');
  screen.getByText('Undo').click();
  expect(onChange).toHaveBeenCalledExactlyOnceWith(16);
});
