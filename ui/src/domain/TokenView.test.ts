// A row as the model reads it: no token lost, the trained ones tinted.

import { render, screen } from '@testing-library/svelte';
import { expect, it } from 'vitest';
import type { PreviewToken } from '../bindings';
import TokenView from './TokenView.svelte';

const TOKENS: PreviewToken[] = [
  { text: '<|user|>', id: 1, trained: false, special: true, role: 'user' },
  { text: 'hi', id: 2, trained: false, special: false, role: 'user' },
  { text: 'yes', id: 3, trained: true, special: false, role: 'assistant' },
  { text: '<|end|>', id: 4, trained: true, special: true, role: 'assistant' },
];

it('shows every token, the trained ones tinted and the special ones as pills', () => {
  render(TokenView, { tokens: TOKENS });
  const shown = screen.getByTestId('tokens');
  expect(shown).toHaveTextContent('User <|user|>hiAnswer yes<|end|>');
  expect([...shown.querySelectorAll('[data-trained="true"]')].map((one) => one.textContent)).toEqual(['yes', '<|end|>']);
  expect([...shown.querySelectorAll('.sp')].map((one) => one.textContent)).toEqual(['<|user|>', '<|end|>']);
});
