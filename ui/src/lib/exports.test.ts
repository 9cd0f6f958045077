// Forms of a result: what is offered, and the request that stands for a choice.
import { describe, expect, it } from 'vitest';
import { formatsOf, formsFor, requestOf } from './exports';

describe('forms of a result', () => {
  it('offers a classifier only what has a place for its head', () => {
    expect(formsFor('classify', true)).toEqual(['peft', 'merged']);
    expect(formsFor('classify', false)).toEqual(['merged']);
  });

  it('offers adapter forms only where there is an adapter', () => {
    expect(formsFor('causal', true)).toContain('gguf-adapter');
    expect(formsFor('causal', false)).toEqual(['merged', 'gguf', 'ollama']);
  });

  it('tells floats and blocks apart in the request', () => {
    expect(formatsOf('peft')).toEqual([]);
    expect(requestOf({ source: 'birds-1', to: 'merged', format: 'bf16', folder: null })).toEqual({ source: 'birds-1', to: 'merged', precision: 'bf16' });
    expect(requestOf({ source: 'birds-1', to: 'gguf', format: 'q4_k_m', folder: '/there' })).toEqual({ source: 'birds-1', to: 'gguf', quantize: 'q4_k_m', output: '/there' });
    expect(requestOf({ source: 'birds-1', to: 'mlx', format: null, folder: null })).toEqual({ source: 'birds-1', to: 'mlx' });
  });
});
