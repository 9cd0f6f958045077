// A host that makes everything up, slowly enough to see it happen. For looking at screens only.
import type { Activity, RunEvent, RunRequest } from '../src/bindings';
import type { Host } from '../src/platform/host';
import * as made from './made-up';

const wait = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

export function madeUpHost(query: URLSearchParams): Host {
  const first = query.has('first');
  let theme = query.get('theme') ?? 'system';
  let serving = query.has('serving');
  let datasets = query.has('empty') ? [] : made.DATASETS;
  const runs = first || query.has('empty') ? [] : made.RUNS;
  const run = (id: string) => runs.find((one) => one.id === id) ?? made.summary(id);
  const served = () => ({ running: serving, address: serving ? 'http://127.0.0.1:8384' : null, since_ms: serving ? Date.now() - 4e6 : null, models: serving ? [{ name: 'smollm2-135m-instruct', kind: 'base', run: null, n_requests: 118 }, { name: 'support-7', kind: 'adapter', run: 'support-7', n_requests: 642 }] : [] });

  const answers: Record<string, (request: never) => unknown> = {
    app_info: () => ({ version: '0.1.0', code_version: '0.1.0+1a2b3c4', data_folder: '/home/ana/.local/share/lorikeet', data_folder_writable: true, disk_available_bytes: 182e9, devices: [{ id: 'cpu', name: 'AMD Ryzen 7 7840U', available: true, why: null }, { id: 'cuda', name: 'NVIDIA', available: false, why: 'this build has no CUDA' }], n_threads: 8, memory_total_bytes: 32e9, memory_available_bytes: 14.2e9, problems: [] }),
    app_activity: (): Activity => ({ running: runs.find((one) => one.status === 'running') ?? null, n_queued: 1, n_runs: runs.length, n_datasets: datasets.length, serving }),
    app_preferences: () => ({ theme }),
    app_set_preferences: (request: { theme: string }) => ((theme = request.theme), request),
    path_inspect: (request: { path: string }) => ({ path: request.path, name: request.path, kind: 'data', n_bytes: 1 }),
    samples_list: () => [{ id: 'mood', name: 'Film reviews', sentence: 'sorts text', kind: 'text_label', task: 'classify', n_rows: 400 }, { id: 'orders', name: 'Shop orders', sentence: 'answers in a form', kind: 'alpaca', task: 'causal', n_rows: 400 }],
    sample_import: () => datasets[1] ?? made.DATASETS[1],
    data_list: () => datasets,
    data_show: (request: { id: string }) => made.DATASETS.find((one) => one.id === request.id) ?? made.DATASETS[0],
    data_preview: (request: { offset?: number }) => made.preview(request.offset ?? 0),
    models_list: () => made.MODELS,
    models_found: () => [{ name: 'Qwen/Qwen3-0.6B-Base', path: '/home/ana/.cache/huggingface/hub/models--Qwen--Qwen3-0.6B-Base/snapshots/1f3c', n_bytes: 1.2e9 }],
    model_add: () => made.MODELS[2],
    model_inspect: (request: { model: string }) => made.modelDetails(made.MODELS.find((one) => one.id === request.model) ?? made.MODELS[0]!),
    settings_schema: () => made.SCHEMA,
    run_estimate: (request: RunRequest) => made.estimate((request.preset === 'quick' ? 0.12 : request.preset === 'thorough' ? 2.4 : 1) * (request.model === 'starter' ? 0.12 : request.model === 'qwen3' ? 4.3 : 1)),
    run_start: () => made.RUNS[0],
    runs_list: () => ({ runs, n_total: runs.length }),
    run_show: (request: { id: string }) => made.details(run(request.id)),
    run_history: (request: { id: string }) => {
      const one = run(request.id);
      const all = made.events(one.id, Math.min(one.step, 542), one.status === 'completed');
      return { last_seq: 2000, steps: made.columns(Math.min(one.step, 542), 542), events: all };
    },
    predict: () => ({ label: 'delivery', probabilities: { delivery: 0.912, returns: 0.061, invoice: 0.027 }, seconds: 0.02 }),
    serve_status: served,
    serve_start: async () => (await wait(900), (serving = true), served()),
    serve_stop: () => ((serving = false), served()),
  };
  for (const name of ['run_pause', 'run_resume', 'run_cancel', 'run_checkpoint']) answers[name] = (request: { id: string }) => run(request.id);

  return {
    call: async (name, request) => {
      await wait(query.has('slow') ? 1500 : 20);
      const answer = answers[name];
      if (!answer) throw { code: 'not_found', message: `no such command: \`${name}\``, hint: null, details: null };
      return answer(request as never);
    },
    stream: async (name, request, onUpdate, signal) => {
      if (name === 'data_import') {
        for (let i = 1; i <= 8; i++) await wait(80), onUpdate({ n_bytes: i * 775_000, n_bytes_total: 6_200_000, n_rows: i * 601, n_bad: 0 });
        const path = (request as { path: string; keep_good?: boolean }).path;
        if (path.includes('bad') && !(request as { keep_good?: boolean }).keep_good) {
          throw { code: 'bad_rows', message: '14 of 4812 rows cannot be used: `spam.csv`', hint: 'keep the good rows, or mend the file', details: { kind: 'bad_rows', n_good: 4798, n_bad: 14, first: [3, 17, 208].map((line) => ({ line, column: 12, reason: 'a quote is opened and never closed' })) } };
        }
        datasets = made.DATASETS;
        return made.DATASETS[0];
      }
      if (name === 'generate') {
        const tuned = (request as { adapter?: string }).adapter !== undefined;
        const text = tuned ? 'Yes, within 30 days, as long as they were worn indoors and the sole is clean. If they went outside, send me a photo and I will see what I can do.' : 'Yes, you can return boots that you have worn once. However, you may need to pay a fee to return them. The fee will depend on the type of boots and the store. Yes, you can return boots that';
        const words = text.split(/(?= )/);
        for (const [i, word] of words.entries()) {
          await wait(25);
          if (signal?.aborted) throw { code: 'cancelled', message: 'stopped', hint: null, details: null };
          onUpdate({ text: word, n_tokens: i + 1, tokens_per_s: 58 });
        }
        return { text, n_tokens: words.length, stop_reason: tuned ? 'stop' : 'length', n_prompt_tokens: 12, first_token_ms: 30, seconds: words.length / 58, tokens_per_s: 58 };
      }
      if (name === 'run_follow') {
        const columns = made.columns(542, 542);
        for (let i = 318, seq = 2000; i < 542 && !signal?.aborted; i++) {
          await wait(250);
          const event: RunEvent = { run: 'support-8', seq: ++seq, step: i + 1, at_ms: Date.now(), elapsed_ms: i * 4100, event: 'step', epoch: columns.epoch[i]!, loss: columns.loss[i]!, loss_sum: 1, n_tokens: 1, learning_rate: columns.learning_rate[i]!, gradient_norm: columns.gradient_norm[i]!, tokens_per_s: columns.tokens_per_s[i]!, memory_bytes: columns.memory_bytes[i]! };
          onUpdate({ events: [event] });
        }
        return {};
      }
      return {};
    },
    onDrop: (listen) => {
      if (query.has('over')) setTimeout(() => listen({ phase: 'over' }), 300);
      return () => {};
    },
    chooseFile: async () => '/home/ana/support-replies.jsonl',
    chooseFolder: async () => '/home/ana/models/Qwen3-0.6B',
  };
}
