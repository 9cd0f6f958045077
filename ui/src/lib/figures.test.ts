// Which figures a finished run shows, and in which order.

import { expect, it } from 'vitest';
import type { RunDetails } from '../bindings';
import { figures } from './figures';

const details = (change: object, task: 'causal' | 'classify' = 'causal') =>
  ({
    task, elapsed_ms: 60_000, estimated_seconds: 2460, estimated_memory_bytes: 1.2e9,
    metrics: { loss: null, perplexity: null, accuracy: null, f1_macro: null, base_loss: null, base_accuracy: null, base_f1_macro: null, n_validation: null, train_loss: null, best_step: null, n_steps: null, stopped_early: null, n_trained_tokens: null, seconds: 2340, tokens_per_s: null, peak_memory_bytes: 1.19e9, ...change },
  }) as RunDetails;
const plain = (text: string) => text.replaceAll('\u00a0', ' ');

it('shows loss and perplexity of a language model, what it cost last', () => {
  const shown = figures(details({ loss: 1.31, base_loss: 2.48, perplexity: 3.71, train_loss: 1.28 }));
  expect(shown.map((one) => [one.label, plain(one.value), one.better])).toEqual([
    ['Validation loss', '1.310', true], ['Perplexity', '3.71', true], ['Training loss', '1.280', null], ['Cost', '39 min', null],
  ]);
  expect(plain(shown.at(-1)?.under ?? '')).toBe('estimate was 41 min and 1.20 GB');
});

it('puts accuracy first for a classifier and says when it fell', () => {
  const shown = figures(details({ accuracy: 0.4, base_accuracy: 0.5, f1_macro: 0.6, base_f1_macro: 0.5, loss: 1, base_loss: 2 }, 'classify'));
  expect(shown.map((one) => [one.label, one.better])).toEqual([['Accuracy', false], ['F1, averaged over labels', true], ['Validation loss', true], ['Cost', null]]);
});

it('shows what there is when nothing was kept aside', () => {
  expect(figures(details({ train_loss: 1.5 })).map((one) => one.label)).toEqual(['Training loss', 'Cost']);
});
