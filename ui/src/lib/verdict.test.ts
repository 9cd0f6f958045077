// How a run is judged: by loss, or by accuracy for a classifier.

import { expect, it } from 'vitest';
import type { RunMetrics } from '../bindings';
import { verdict } from './verdict';

const NOTHING: RunMetrics = {
  loss: null, perplexity: null, accuracy: null, f1_macro: null, base_loss: null, base_accuracy: null, base_f1_macro: null,
  n_validation: null, train_loss: null, best_step: null, n_steps: null, stopped_early: null, n_trained_tokens: null, seconds: null,
  tokens_per_s: null, peak_memory_bytes: null,
};

it('judges language models by loss', () => {
  expect(verdict('causal', { ...NOTHING, loss: 1.31, base_loss: 2.48 })).toEqual({ by: 'loss', outcome: 'learned' });
  expect(verdict('causal', { ...NOTHING, loss: 2.47, base_loss: 2.48 }).outcome).toBe('little');
  expect(verdict('causal', { ...NOTHING, loss: 2.6, base_loss: 2.48 }).outcome).toBe('worse');
  expect(verdict('causal', NOTHING).outcome).toBe('unchecked');
});

it('judges classifiers by accuracy', () => {
  expect(verdict('classify', { ...NOTHING, accuracy: 0.827, base_accuracy: 0.51 })).toEqual({ by: 'accuracy', outcome: 'learned' });
  expect(verdict('classify', { ...NOTHING, accuracy: 0.505, base_accuracy: 0.51 }).outcome).toBe('little');
  expect(verdict('classify', { ...NOTHING, accuracy: 0.4, base_accuracy: 0.51 }).outcome).toBe('worse');
});
