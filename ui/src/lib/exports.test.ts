// Exports: number formats, and the request that stands for a choice.
import { expect, it } from 'vitest';
import type { ExportChoice } from '../bindings';
import { formatsOf, requestOf } from './exports';

const PEFT: ExportChoice = { form: 'peft', programs: ['PEFT'], precisions: [], quantizations: [] };
const GGUF: ExportChoice = { form: 'gguf', programs: ['llama.cpp'], precisions: ['bf16', 'f32'], quantizations: ['q4_k_m', 'q8_0'] };

it('lists few bits before floats, the usual one first', () => {
  expect(formatsOf(PEFT)).toEqual([]);
  expect(formatsOf(GGUF)).toEqual(['q4_k_m', 'q8_0', 'bf16', 'f32']);
});

it('tells floats and blocks apart in the request', () => {
  expect(requestOf('birds-1', PEFT, null, null)).toEqual({ source: 'birds-1', to: 'peft' });
  expect(requestOf('birds-1', GGUF, 'bf16', null)).toEqual({ source: 'birds-1', to: 'gguf', precision: 'bf16' });
  expect(requestOf('birds-1', GGUF, null, '/there')).toEqual({ source: 'birds-1', to: 'gguf', quantize: 'q4_k_m', output: '/there' });
});
