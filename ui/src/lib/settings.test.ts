// Defaults, preset and changes laid over each other, and typed text becoming a value.

import { describe, expect, it } from 'vitest';
import type { SettingSpec, SettingsSchema } from '../bindings';
import { basis, changesThatMatter, effective, fieldText, grouped, mattering, spoken, typed, withChange, type Work } from './settings';

const spec = (change: Partial<SettingSpec>): SettingSpec => ({
  name: 'rank', label: 'Rank', group: 'adapter', kind: 'integer', unit: null, default: 16, minimum: 1, maximum: 256, choices: [],
  sentence: 'How much the adapter can hold.', when: [], ...change,
});
const RATE = spec({ name: 'learning_rate', label: 'Learning rate', group: 'learning', kind: 'number', default: 2e-4, minimum: 0, maximum: 1, sentence: 'How large each correction is.' });
const SPLIT = spec({ name: 'validation_split', label: 'Kept aside', group: 'data', kind: 'number', unit: 'fraction', default: 0.1, minimum: 0, maximum: 0.5 });
const ALPHA = spec({ name: 'alpha', label: 'Strength', kind: 'number', default: null, minimum: 0, maximum: null });
const SCHEMA: SettingsSchema = {
  settings: [RATE, spec({}), ALPHA, SPLIT],
  presets: [{ name: 'thorough', label: 'Thorough', sentence: '', overrides: { rank: 32 } }],
};

it('lays a preset over the defaults and changes over both', () => {
  expect(effective(SCHEMA, 'thorough', { learning_rate: 1e-4 })).toEqual({ rank: 32, learning_rate: 1e-4, alpha: null, validation_split: 0.1 });
  expect(basis(SCHEMA, null)['rank']).toBe(16);
});

it('keeps no change that changes nothing', () => {
  const changed = withChange(SCHEMA, 'thorough', {}, 'rank', 16);
  expect(changed).toEqual({ rank: 16 });
  expect(withChange(SCHEMA, 'thorough', changed, 'rank', 32)).toEqual({});
});

it('groups settings and finds them by their words', () => {
  expect(grouped(SCHEMA.settings).map((one) => [one.group, one.settings.length])).toEqual([['learning', 1], ['adapter', 2], ['data', 1]]);
  expect(grouped(SCHEMA.settings, 'CORRECTION large').map((one) => one.group)).toEqual(['learning']);
  expect(grouped(SCHEMA.settings, 'nothing of the kind')).toEqual([]);
});

describe('what matters', () => {
  const choices = ['sft', 'dpo', 'kto'].map((value) => ({ value, label: value }));
  const schema: SettingsSchema = {
    settings: [
      spec({ name: 'objective', kind: 'choice', default: null, choices, when: [{ subject: 'task', words: ['causal'] }] }),
      spec({ name: 'beta', kind: 'number', default: 0.1, when: [{ subject: 'objective', words: ['dpo', 'kto'] }] }),
      spec({ name: 'dora', kind: 'bool', default: false, when: [{ subject: 'method', words: ['lora'] }] }),
    ],
    presets: [],
  };
  const work = (objective: string, task: 'causal' | 'classify' = 'causal'): Work => ({ data: { task, objective }, method: 'lora' });
  const names = (of: Work, values = {}) => mattering(schema, of, effective(schema, null, values)).map((one) => one.name);

  it('follows the examples, the method and the other settings', () => {
    expect(names(work('sft'))).toEqual(['objective', 'dora']);
    expect(names(work('dpo'))).toEqual(['objective', 'beta', 'dora']);
    expect(names(work('dpo'), { objective: 'sft' })).toEqual(['objective', 'dora']);
    expect(names(work('sft', 'classify'))).toEqual(['dora']);
    expect(names({ ...work('sft'), method: 'full' })).toEqual(['objective']);
    expect(names({ data: null, method: 'lora' })).toEqual(['dora']);
  });

  it('keeps a change that does not matter out of the request', () => {
    expect(changesThatMatter(schema, work('sft'), null, { beta: 0.2, dora: true })).toEqual({ dora: true });
    expect(changesThatMatter(schema, work('kto'), null, { beta: 0.2 })).toEqual({ beta: 0.2 });
  });
});

describe('what was typed', () => {
  it('becomes a value', () => {
    expect(typed(RATE, ' 1e-4 ')).toEqual({ ok: true, value: 1e-4 });
    expect(typed(SPLIT, '15 %')).toEqual({ ok: true, value: 0.15 });
    expect(typed(spec({ maximum: null }), '1,024')).toEqual({ ok: true, value: 1024 });
    expect(typed(ALPHA, '')).toEqual({ ok: true, value: null });
    expect(typed(spec({ kind: 'list', default: null }), 'q_proj, v_proj')).toEqual({ ok: true, value: ['q_proj', 'v_proj'] });
  });
  it('is refused with the nearest value', () => {
    expect(typed(spec({}), '0')).toEqual({ ok: false, problem: 'low', nearest: 1 });
    expect(typed(spec({}), '999')).toEqual({ ok: false, problem: 'high', nearest: 256 });
    expect(typed(spec({}), '2.5')).toEqual({ ok: false, problem: 'whole', nearest: 3 });
    expect(typed(RATE, 'fast')).toEqual({ ok: false, problem: 'number', nearest: 2e-4 });
    expect(typed(RATE, '')).toEqual({ ok: false, problem: 'empty', nearest: 2e-4 });
  });
  it('stands in its field as it was meant', () => {
    expect(fieldText(RATE, 1e-4)).toBe('1e-4');
    expect(fieldText(SPLIT, 0.1)).toBe('10');
    expect(fieldText(ALPHA, null)).toBe('');
    expect(spoken(SPLIT, 0.1, 'none')).toBe('10\u00a0%');
    expect(spoken(ALPHA, null, 'none')).toBe('none');
    expect(spoken(spec({ kind: 'choice', choices: [{ value: 'cosine', label: 'Cosine' }] }), 'cosine', '')).toBe('Cosine');
  });
});
