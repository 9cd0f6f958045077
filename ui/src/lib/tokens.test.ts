// Tokens put together by role, with invisible ones made visible.

import { expect, it } from 'vitest';
import type { PreviewToken } from '../bindings';
import { turns, visible } from './tokens';

const token = (text: string, role: string | null): PreviewToken => ({ text, id: 1, trained: false, special: false, role });

it('puts tokens of one role together, line breaks between turns to the turn before', () => {
  const grouped = turns([token('<s>', 'user'), token('hi', 'user'), token('\n', null), token('yes', 'assistant')]);
  expect(grouped.map((turn) => [turn.role, turn.tokens.map((one) => one.index)])).toEqual([['user', [0, 1, 2]], ['assistant', [3]]]);
});

it('keeps a row without roles in one piece', () => {
  expect(turns([token('a', null), token('b', null)])).toHaveLength(1);
  expect(turns([])).toEqual([]);
});

it('shows what cannot be seen', () => {
  expect(visible(' a\tb\n')).toBe('·a→b↵');
});
