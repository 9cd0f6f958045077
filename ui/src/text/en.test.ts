// Sentences that are put together from numbers: promise, verdict, plural.

import { expect, it } from 'vitest';
import type { RunEstimate, RunMetrics } from '../bindings';
import { verdict } from '../lib/verdict';
import { finished, home, newRun, rows, run, type Piece } from './en';

const said = (pieces: Piece[]) => pieces.map((piece) => (typeof piece === 'string' ? piece : piece.strong)).join('').replaceAll('\u00a0', ' ').trim();
const ESTIMATE = {
  task: 'causal', n_epochs: 2, n_rows_train: 4331, n_rows_validation: 481, seconds: 2460, training_seconds: 2400, evaluating_seconds: 60, tokens_per_s: 880, basis: 'Measured here in 12 earlier runs.',
  memory: { total_bytes: 1_200_000_000 },
} as RunEstimate;
const METRICS = { loss: 1.31, base_loss: 2.48, accuracy: null, base_accuracy: null, best_step: 450, n_steps: 542, stopped_early: true, n_validation: 47_236, train_loss: 1.2 } as RunMetrics;

it('promises in one sentence what will happen', () => {
  expect(said(home.promise(ESTIMATE, 'messages'))).toBe(
    'Lorikeet reads 4,331 chats twice and learns to answer as they do. It keeps 481 chats aside to check itself and saves the best version. This takes about 41 min and 1.20 GB of memory.',
  );
  expect(said(home.promise({ ...ESTIMATE, task: 'classify', seconds: null, n_rows_validation: 0, n_epochs: 1 }, 'text_label'))).toBe(
    'Lorikeet reads 4,331 texts once and learns to put each under its label. It needs about 1.20 GB of memory; how long it takes shows after the first steps.',
  );
});

it('gives a verdict in words', () => {
  expect(said(finished.sentence(verdict('causal', METRICS), METRICS, 'causal'))).toBe(
    'Validation loss fell from 2.480 to 1.310, best at step 450 of 542. It stopped early, because it no longer got better.',
  );
  const worse = { ...METRICS, loss: 2.6, stopped_early: false };
  expect(said(finished.sentence(verdict('causal', worse), worse, 'causal'))).toContain('Validation loss went from 2.480 to 2.600');
  const sorted = { ...METRICS, accuracy: 0.827, base_accuracy: 0.51, n_validation: 870 };
  expect(said(finished.sentence(verdict('classify', sorted), sorted, 'classify'))).toContain('Accuracy went from 51.0 % to 82.7 % on 870 texts');
});

it('says one and many', () => {
  expect(rows(1, 'messages')).toBe('1\u00a0chat');
  expect(rows(2, 'text')).toBe('2\u00a0passages');
});

it('tells where the time comes from', () => {
  expect(newRun.timeWhy(ESTIMATE).replaceAll('\u00a0', ' ')).toBe('40 min training at about 880 tokens/s, 1 min checking. Measured here in 12 earlier runs.');
});

it('names the pass one is in', () => {
  expect(run.pass(0.2, 2)).toBe('Pass 1 of 2');
  expect(run.pass(2, 2)).toBe('Pass 2 of 2');
  expect(run.pass(0.1, 0.25)).toBe('Pass 1 of 1');
});
