// Try: what was asked of a run and its base, and what they answered. Kept while the window lives.
import type { Generation, Prediction } from '../bindings';
import { asApiError, commands, streams } from '../platform/host';

export type Answer = {
  text: string;
  state: 'waiting' | 'loading' | 'streaming' | 'done' | 'failed';
  nTokens: number;
  tokensPerS: number;
  result: Generation | null;
  error: string | null;
};
export type AnswersTurn = { id: number; kind: 'answers'; prompt: string; maxTokens: number; base: Answer; tuned: Answer };
export type LabelsTurn = { id: number; kind: 'labels'; prompt: string; prediction: Prediction | null; error: string | null };
export type Turn = AnswersTurn | LabelsTurn;

export type Parameters = { temperature: number; seed: number; maxTokens: number; raw: boolean; system: string };

const EMPTY: Answer = { text: '', state: 'waiting', nTokens: 0, tokensPerS: 0, result: null, error: null };
const turnsByRun = $state<Record<string, Turn[]>>({});
let busy = $state(false);
let abort: AbortController | null = null;
let lastId = 0;

export const parameters = $state<Parameters>({ temperature: 0, seed: 42, maxTokens: 128, raw: false, system: '' });

export const conversation = {
  turns: (run: string): readonly Turn[] => turnsByRun[run] ?? [],
  get busy(): boolean {
    return busy;
  },
};

export function startOver(run: string): void {
  stopAnswers();
  turnsByRun[run] = [];
}

export function stopAnswers(): void {
  abort?.abort();
}

function add<T extends Turn>(run: string, turn: T): T {
  // Written and read back through the reactive copy, so that what is written later is seen.
  turnsByRun[run] = [...(turnsByRun[run] ?? []), turn];
  return turnsByRun[run].at(-1) as T;
}

/** Asks the base, then the tuned model: one after the other, so that neither is slowed by the other. */
export async function ask(run: string, model: string, prompt: string): Promise<void> {
  busy = true;
  const mine = (abort = new AbortController());
  const turn = add(run, { id: ++lastId, kind: 'answers', prompt, maxTokens: parameters.maxTokens, base: { ...EMPTY }, tuned: { ...EMPTY } } as AnswersTurn);
  await write(turn.base, model, undefined, prompt, mine.signal);
  if (!mine.signal.aborted) await write(turn.tuned, model, run, prompt, mine.signal);
  else Object.assign(turn.tuned, { state: 'done' });
  busy = false;
}

async function write(answer: Answer, model: string, adapter: string | undefined, prompt: string, signal: AbortSignal): Promise<void> {
  answer.state = 'loading';
  const request = {
    model, prompt, raw: parameters.raw, max_tokens: parameters.maxTokens, temperature: parameters.temperature, seed: parameters.seed,
    ...(adapter === undefined ? {} : { adapter }), ...(parameters.system.trim() && !parameters.raw ? { system: parameters.system.trim() } : {}),
  };
  try {
    const result = await streams.generate(
      request,
      (update) => {
        answer.state = 'streaming';
        answer.text += update.text;
        answer.nTokens = update.n_tokens;
        answer.tokensPerS = update.tokens_per_s;
      },
      signal,
    );
    Object.assign(answer, { text: result.text, result, nTokens: result.n_tokens, state: 'done' });
  } catch (thrown) {
    const error = asApiError(thrown);
    if (error.code === 'cancelled' || signal.aborted) answer.state = 'done';
    else Object.assign(answer, { state: 'failed', error: [error.message, error.hint].filter(Boolean).join('. ') });
  }
}

/** Asks a classifier for the labels of a text. */
export async function sort(run: string, model: string, text: string): Promise<void> {
  busy = true;
  const turn = add(run, { id: ++lastId, kind: 'labels', prompt: text, prediction: null, error: null } as LabelsTurn);
  try {
    turn.prediction = await commands.predict({ model, adapter: run, text });
  } catch (thrown) {
    turn.error = asApiError(thrown).message;
  }
  busy = false;
}
