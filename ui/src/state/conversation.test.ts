// Base and run are asked the same question, stopped together, and keep their errors.

import { beforeEach, expect, it, vi } from 'vitest';
import { testHost } from '../test-host';
import { ask, conversation, sort, startOver, stopAnswers } from './conversation.svelte';

const done = (text: string) => ({ text, n_tokens: 2, stop_reason: 'stop', n_prompt_tokens: 1, first_token_ms: 1, seconds: 0.1, tokens_per_s: 20 });

beforeEach(() => ['r', 's', 't'].forEach(startOver));

it('asks the base, then the run, with the same words and seed', async () => {
  const { asked } = testHost({
    generate: (request: { adapter?: string }, onUpdate) => {
      onUpdate({ text: 'he', n_tokens: 1, tokens_per_s: 20 });
      return done(request.adapter ? 'tuned' : 'base');
    },
  });
  await ask('r', 'starter', 'hello');
  const [turn] = conversation.turns('r');
  expect(turn).toMatchObject({ kind: 'answers', prompt: 'hello', base: { text: 'base', state: 'done' }, tuned: { text: 'tuned', state: 'done' } });
  const [first, second] = asked.map((one) => one.request as Record<string, unknown>);
  expect(first?.['adapter']).toBeUndefined();
  expect(second).toEqual({ ...first, adapter: 'r' });
  expect(conversation.busy).toBe(false);
});

it('stops both when asked to', async () => {
  testHost({
    generate: (_request: unknown, _onUpdate: unknown, signal?: AbortSignal) =>
      new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject({ code: 'cancelled', message: 'stopped', hint: null, details: null }))),
  });
  const asking = ask('s', 'starter', 'hello');
  await vi.waitFor(() => expect(conversation.busy).toBe(true));
  stopAnswers();
  await asking;
  expect(conversation.turns('s')[0]).toMatchObject({ base: { state: 'done' }, tuned: { state: 'done' } });
});

it('keeps an error beside its question', async () => {
  testHost({});
  await sort('t', 'minilm', 'good');
  expect(conversation.turns('t')[0]).toMatchObject({ kind: 'labels', prediction: null, error: 'no such command: `predict`' });
});
