// Made-up things that agree with each other: one shop, one file, run support-7. For looking at screens only.
import type { DataPreview, DatasetDetails, ModelDetails, ModelSummary, RunDetails, RunEstimate, RunEvent, RunSummary, SettingsSchema, StepColumns } from '../src/bindings';

const NOW = Date.now();
const MIN = 60_000;
export const random = (a: number) => () => { a = (a + 0x6d2b79f5) | 0; let t = Math.imul(a ^ (a >>> 15), 1 | a); t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t; return ((t ^ (t >>> 14)) >>> 0) / 4294967296; };
const normal = (r: () => number) => Math.sqrt(-2 * Math.log(r() + 1e-9)) * Math.cos(6.2832 * r());
export const lossAt = (n: number) => 1.29 + 1.33 * (0.7 * Math.exp(-n / 52) + 0.3 * Math.exp(-n / 260));

export function columns(n: number, total: number, seed = 7): StepColumns {
  const r = random(seed);
  const out: StepColumns = { step: [], epoch: [], loss: [], learning_rate: [], gradient_norm: [], tokens_per_s: [], memory_bytes: [], at_ms: [] };
  for (let i = 1; i <= n; i++) {
    out.step.push(i);
    out.epoch.push((2 * i) / total);
    out.loss.push(lossAt(i) + normal(r) * 0.085);
    out.learning_rate.push(i < 27 ? (2e-4 * i) / 27 : 1e-4 * (1 + Math.cos(((i - 27) / (total - 27)) * 3.1416)));
    out.gradient_norm.push(0.78 + 1.5 * Math.exp(-i / 24) + normal(r) * 0.14);
    out.tokens_per_s.push(893 + normal(r) * 8 - (i % 50 < 3 ? 60 : 0));
    out.memory_bytes.push((i < 4 ? 0.62 : 1.17 + (i > 50 ? 0.01 : 0)) * 1e9);
    out.at_ms.push(NOW - (n - i) * 4100);
  }
  return out;
}

const ANSWERS: [number, string][] = [
  [0, 'There are several reasons why a zip can break. 1. The zip is too tight. 2. The zip is too loose. 3. The zip is'],
  [100, 'I am sorry to hear that your jacket is broken. You can return it to the store where you bought it and ask for a new one.'],
  [200, 'I am sorry to hear about the zip. You can send the jacket back to us and we will replace it. Please send us your order number.'],
  [300, 'Sorry about the zip. Two weeks is within the warranty, so we replace the jacket free of charge. Reply with your order number and I will send a return label today.'],
];

export function events(run: string, upTo: number, done: boolean): RunEvent[] {
  const out: RunEvent[] = [];
  let seq = 0;
  const base = (step: number) => ({ run, seq: ++seq, step, at_ms: NOW - (upTo - step) * 4100, elapsed_ms: step * 4100 });
  out.push({ ...base(0), event: 'started', n_steps: 542, n_epochs: 2, n_trainable: 4_884_480, n_parameters: 139_400_000, device: 'cpu' });
  for (let step = 0; step <= upTo; step += 50) {
    const loss = step === 0 ? 2.48 : lossAt(step) + 0.06;
    out.push({ ...base(step), event: 'evaluated', loss, n: 47_236, perplexity: Math.exp(loss), accuracy: null, f1_macro: null, best: true });
    const answer = ANSWERS.find(([at]) => at === step);
    if (answer) {
      out.push({ ...base(step), event: 'sample', prompt: 'The zip on the jacket I bought two weeks ago is already broken. What now?', answer: answer[1], stop_reason: step === 0 ? 'length' : 'stop' });
      out.push({ ...base(step), event: 'sample', prompt: 'Do you ship to Norway?', answer: step ? 'Yes, we do. It takes 4 to 6 working days.' : 'Shipping to Norway can take anywhere', stop_reason: step === 0 ? 'length' : 'stop' });
    }
    if (step) out.push({ ...base(step), event: 'checkpoint', path: `/data/runs/support-7/checkpoint-${step}`, best: true, n_bytes: 58_600_000 });
  }
  if (done) out.push({ ...base(542), event: 'completed', adapter: '/data/runs/support-7/adapter', metrics: METRICS });
  return out.map((event) => ({ ...event, seq: event.seq + event.step }));
}

export const METRICS = { loss: 1.31, perplexity: 3.71, accuracy: null, f1_macro: null, base_loss: 2.48, base_accuracy: null, base_f1_macro: null, n_validation: 47_236, train_loss: 1.28, best_step: 450, n_steps: 542, stopped_early: true, n_trained_tokens: 848_760, seconds: 2340, tokens_per_s: 894, peak_memory_bytes: 1.19e9 };

const curve = (to: number, n: number, total: number) => Array.from({ length: 20 }, (_, i) => ({ step: Math.round(((i + 1) * n) / 20), loss: to + 1.2 * Math.exp((-5 * (i + 1) * n) / 20 / total) }));
export const summary = (name: string, change: Partial<RunSummary> = {}): RunSummary => ({
  id: name, name, status: 'completed', task: 'causal', method: 'lora', model: 'smollm2', model_name: 'SmolLM2-135M-Instruct', data: 'support-replies', data_name: 'support-replies',
  created_at_ms: NOW - 90 * MIN, started_at_ms: NOW - 60 * MIN, ended_at_ms: NOW - 20 * MIN, elapsed_ms: 39 * MIN, remaining_ms: null, step: 542, n_steps: 542, epoch: 2,
  best_loss: 1.31, best_step: 450, accuracy: null, tokens_per_s: 894, peak_memory_bytes: 1.19e9, curve: curve(1.31, change.step ?? 542, 542), error: null, ...change,
});

const minilm = { model: 'minilm', model_name: 'all-MiniLM-L6-v2', task: 'classify' as const, data: 'tickets', data_name: 'tickets', tokens_per_s: 9214, peak_memory_bytes: 0.39e9, elapsed_ms: 11 * MIN, n_steps: 870, step: 870 };
export const RUNS: RunSummary[] = [
  summary('support-8', { status: 'running', step: 318, best_loss: 1.447, elapsed_ms: 22 * MIN, ended_at_ms: null, remaining_ms: 15 * MIN, epoch: 1.17 }),
  summary('support-7'),
  summary('support-qwen3-1', { status: 'queued', model_name: 'Qwen3-0.6B', step: 0, best_loss: null, curve: [], elapsed_ms: 0, tokens_per_s: null, peak_memory_bytes: null, started_at_ms: null }),
  summary('support-6', { status: 'failed', step: 231, best_loss: 2.174, elapsed_ms: 17 * MIN, error: { code: 'diverged', message: 'the loss is not a number at step 231', hint: 'lower the learning rate', details: null } }),
  summary('support-5', { best_loss: 1.372 }),
  summary('tickets-minilm-4', { ...minilm, accuracy: 0.827, best_loss: 0.412 }),
  summary('tickets-minilm-3', { ...minilm, accuracy: 0.819, best_loss: 0.438 }),
  summary('tickets-minilm-2', { ...minilm, status: 'cancelled', accuracy: 0.74, best_loss: 0.617, step: 310, elapsed_ms: 4 * MIN }),
  summary('tales-starter-9', { model: 'starter', model_name: 'starter', data_name: 'fairy-tales', best_loss: 2.204, step: 2400, n_steps: 2400, elapsed_ms: 21 * MIN, tokens_per_s: 7208, peak_memory_bytes: 0.36e9 }),
  summary('tales-starter-8', { status: 'paused', model: 'starter', model_name: 'starter', data_name: 'fairy-tales', best_loss: 2.517, step: 900, n_steps: 2400, elapsed_ms: 8 * MIN, tokens_per_s: 7203, peak_memory_bytes: 0.36e9 }),
];

export const details = (run: RunSummary): RunDetails => ({
  ...run, request: { model: run.model, data: run.data, settings: { rank: 32 } }, settings: { learning_rate: 2e-4, epochs: 2, batch_size: 16, rank: 16, alpha: 32, max_length: 512, seed: 42 },
  metrics: run.status === 'completed' ? (run.task === 'classify' ? { ...METRICS, accuracy: run.accuracy, base_accuracy: 0.51, f1_macro: 0.81, base_f1_macro: 0.34, n_validation: 870, perplexity: null, loss: 0.412, base_loss: 0.7 } : METRICS) : { ...METRICS, loss: null },
  checkpoints: [300, 250, 200].map((step, i) => ({ step, path: `/data/runs/${run.id}/checkpoint-${step}`, best: i === 0, loss: [1.447, 1.479, 1.531][i] ?? null, n_bytes: 19_500_000, at_ms: NOW - i * 4 * MIN })),
  folder: `/data/runs/${run.id}`, adapter: run.status === 'completed' ? `/data/runs/${run.id}/adapter` : null, dataset_hash: '9f3c21ab', model_hash: '77aa', template_hash: '1c2d', code_version: '0.1.0+abc', device: 'cpu', last_seq: 0, estimated_seconds: 2460, estimated_memory_bytes: 1.2e9,
});

const model = (id: string, name: string, change: Partial<ModelSummary>): ModelSummary => ({
  id, name, source: 'folder', path: `/models/${name}`, available: true, family: 'llama', tasks: ['causal'], n_parameters: 134_515_008, n_bytes: 269_000_000, licence: 'Apache-2.0', has_chat_template: true, train_tokens_per_s: 900, train_memory_bytes: 1.2e9, n_measured_runs: 12, last_used_at_ms: NOW - 20 * MIN, ...change,
});
export const MODELS: ModelSummary[] = [
  model('starter', 'starter', { source: 'starter', path: null, n_bytes: 14_000_000, n_parameters: 7_000_000, train_tokens_per_s: 7200, train_memory_bytes: 0.4e9, licence: 'MIT OR Apache-2.0' }),
  model('smollm2', 'SmolLM2-135M-Instruct', {}),
  model('qwen3', 'Qwen3-0.6B', { n_bytes: 1.2e9, n_parameters: 596_000_000, family: 'qwen3', train_tokens_per_s: 190, train_memory_bytes: 3.4e9 }),
  model('minilm', 'all-MiniLM-L6-v2', { family: 'bert', tasks: ['classify'], n_bytes: 91_000_000, n_parameters: 22_700_000, has_chat_template: false, train_tokens_per_s: 9200 }),
];
export const modelDetails = (one: ModelSummary): ModelDetails => ({ ...one, hash: '77aa12bc99', n_layers: 30, hidden_size: 576, n_heads: 9, vocab_size: 49_152, max_position_embeddings: 8192, dtype: 'bf16', target_modules: ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'], labels: [], card: 'A small model that answers questions. It knows little of the world and makes mistakes.', template: null });

export const DATASETS: DatasetDetails[] = [
  { id: 'support-replies', hash: '9f3c21ab77', kind: 'messages', n_rows: 4812, n_bad: 0, name: 'support-replies', format: 'jsonl', n_bytes: 6_200_000, task: 'causal', objective: 'sft', source_path: '/data/support-replies.jsonl', created_at_ms: NOW - 100 * MIN, columns: ['messages'], labels: [], bad_rows: [],
    examples: [{ turns: [{ role: 'user', content: 'Order 40213 says delivered, but there is nothing at my door and my neighbour has not seen it either.' }, { role: 'assistant', content: 'I am sorry about that. I have asked the carrier for the delivery photo; you will hear from us by tomorrow noon.' }], label: null }] },
  { id: 'tickets', hash: '4c1d21ab77', kind: 'text_label', n_rows: 8700, n_bad: 14, name: 'tickets', format: 'csv', n_bytes: 1_100_000, task: 'classify', objective: 'sft', source_path: '/data/tickets.csv', created_at_ms: NOW - 2000 * MIN, columns: ['text', 'label'], labels: [{ label: 'delivery', n_rows: 4100 }, { label: 'returns', n_rows: 3100 }, { label: 'invoice', n_rows: 1500 }], bad_rows: [],
    examples: [{ turns: [{ role: 'text', content: 'Where is my parcel?' }], label: 'delivery' }] },
];

const TITLES = ['Can I pay by invoice?', 'The tent pole snapped on the first night.', 'Is the grey one back in stock in size M?', 'I was charged twice for order 39981.', 'How long is the warranty on boots?', 'You sent me two left gloves.', 'The zip on the jacket I bought two weeks ago is already broken.', 'Please delete my account.', 'Which rope for a 12 m pitch?', 'Order 40213 says delivered, but there is nothing', 'Do you repair stoves?', 'Long list of questions before a trek in the Alps', 'Can I collect the parcel at the shop?'];
export function preview(offset: number): DataPreview {
  const r = random(3);
  const say = (role: string, text: string, trained: boolean) => [
    { text: '<|im_start|>', id: 1, trained: false, special: true, role }, { text: `${role}\n`, id: 9, trained: false, special: false, role },
    ...text.split(/(?= )/).map((part) => ({ text: part, id: Math.floor(r() * 40_000), trained, special: false, role })),
    { text: '<|im_end|>', id: 2, trained, special: true, role }, { text: '\n', id: 3, trained: false, special: false, role: null },
  ];
  const rows = Array.from({ length: 50 }, (_, i) => {
    const title = TITLES[i % TITLES.length] ?? '';
    const tokens = [...say('system', 'You answer for Northrope, a small shop for mountain clothing. Be brief and kind.', false), ...say('user', title, false), ...say('assistant', 'Sorry about the zip. Two weeks is well within the warranty, so we replace the jacket free of charge. Could you send me the order number?', true)];
    return { index: offset + i, title, label: null, n_tokens: i === 11 ? 538 : 90 + Math.floor(r() * 300), n_trained: tokens.filter((one) => one.trained).length, truncated: i === 11, tokens };
  });
  const bins = Array.from({ length: 49 }, (_, i) => Math.round(400 * Math.exp(-((Math.log((i + 0.6) / 10) / 0.55) ** 2))));
  return { rows, n_rows: 4812, n_rows_counted: 4812, n_tokens: 926_000, n_trained: 424_380, n_truncated: 23, n_with_trained_end: 4812, max_length: 512, lengths: { median: 196, p95: 431, longest: 743, longest_row: 3016, bin_width: 16, bins }, template: { source: 'SmolLM2-135M-Instruct', hash: '9f3c21ab', end_of_turn: '<|im_end|>' } };
}

export const SCHEMA: SettingsSchema = {
  presets: [
    { name: 'quick', label: 'Quick look', sentence: 'A quarter of the examples, once. Enough to see whether it learns.', overrides: { epochs: 0.25, rank: 8 } },
    { name: 'balanced', label: 'Balanced', sentence: 'All examples, twice. Stops early when it no longer gets better.', overrides: {} },
    { name: 'thorough', label: 'Thorough', sentence: 'All examples up to five times, a larger adapter, checked more often.', overrides: { epochs: 5, rank: 32 } },
  ],
  settings: ([
    ['learning_rate', 'Learning rate', 'learning', 'number', null, 2e-4, 0, 1, 'How large each correction is. Too high, and the loss jumps.'],
    ['epochs', 'Passes', 'learning', 'number', null, 2, 0, 100, 'How often every example is read. More than three rarely helps.'],
    ['batch_size', 'Rows per step', 'learning', 'integer', null, 16, 1, 4096, 'Read together before each correction.'],
    ['schedule', 'Schedule', 'learning', 'choice', null, 'cosine', null, null, 'How the learning rate falls to the end, after the warm-up.'],
    ['rank', 'Rank', 'adapter', 'integer', null, 16, 1, 256, 'How much the adapter can hold.'],
    ['alpha', 'Strength', 'adapter', 'number', null, null, 0, null, 'Scale of the adapter, divided by the rank; twice the rank when left empty.'],
    ['target_modules', 'Where', 'adapter', 'list', null, null, null, null, 'Which layers get an adapter; all linear layers when left empty.'],
    ['max_length', 'Longest row', 'data', 'integer', 'tokens', 512, 8, 131072, 'Longer rows are cut at the end.'],
    ['validation_split', 'Kept aside', 'data', 'number', 'fraction', 0.1, 0, 0.5, 'Never trained on; used to check.'],
    ['eval_steps', 'Check and save', 'saving', 'integer', 'steps', 50, 1, null, 'Every so many steps. The best and the latest are kept.'],
    ['seed', 'Seed', 'computing', 'integer', null, 42, 0, null, 'Same seed, same run.'],
  ] as const).map(([name, label, group, kind, unit, value, minimum, maximum, sentence]) => ({ name, label, group, kind, unit, default: value, minimum, maximum, sentence, when: [], choices: kind === 'choice' ? [{ value: 'cosine', label: 'Cosine' }, { value: 'linear', label: 'Linear' }, { value: 'constant', label: 'Constant' }] : [] })),
};

export const estimate = (factor: number): RunEstimate => ({
  name: 'support-9', task: 'causal', n_steps: 542, n_epochs: 2, n_rows_train: 4331, n_rows_validation: 481, n_tokens: 1_853_000, n_trained_tokens: 848_760, n_trainable: 9_770_000, n_parameters: 144_000_000, seconds: 2760 * factor, training_seconds: 2460 * factor, evaluating_seconds: 300 * factor, tokens_per_s: 880, basis: 'Measured here in 12 earlier runs.',
  memory: { total_bytes: 1.28e9 * (0.7 + 0.3 * factor), base_bytes: 0.54e9, trainable_bytes: 0.16e9, batch_bytes: 0.58e9, available_bytes: 14.2e9, limit_bytes: 14.7e9 }, disk_bytes: 390e6, n_checkpoints: 3, adapter_bytes: 39e6,
  loads_in: [{ program: 'PEFT', way: 'saved' }, { program: 'transformers', way: 'export', form: 'merged' }, { program: 'vLLM', way: 'saved' }, { program: 'llama.cpp', way: 'export', form: 'gguf-adapter' }, { program: 'Ollama', way: 'not', why: 'unknown_family' }],
  notes: [{ level: 'warning', text: '23 chats are longer than 512 tokens; their ends are cut.', mend: { label: 'Raise to 768', settings: { max_length: 768 } } }, { level: 'good', text: 'Every chat ends with a trained end-of-turn token.', mend: null }], settings: {}, would_fit: [], n_queued: 0,
});
