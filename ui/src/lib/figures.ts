// The few numbers that stand large under a verdict.
import type { RunDetails } from '../bindings';
import { finished as text } from '../text/en';
import { duration, fixed, measure, percent } from './format';

export type Figure = { label: string; value: string; /** Whether it went the right way; null when there is nothing to compare. */ better: boolean | null; falls: boolean; beside: string; under: string };

/** Four at most; what it cost comes last. */
export function figures(run: RunDetails): Figure[] {
  const m = run.metrics;
  const out: Figure[] = [];
  const add = (label: string, value: number | null, base: number | null, say: (value: number) => string, falls: boolean, under: string) => {
    if (value === null) return;
    const better = base === null || base === value ? null : falls ? value < base : value > base;
    out.push({ label, value: say(value), better, falls: base !== null && value < base, beside: base === null ? '' : text.base(say(base)), under });
  };
  const share = (value: number) => percent(value);
  add(text.accuracy, m.accuracy, m.base_accuracy, share, false, text.accuracyUnder(m.n_validation));
  add(text.f1, m.f1_macro, m.base_f1_macro, share, false, text.f1Under);
  add(text.validationLoss, m.loss, m.base_loss, measure, true, text.lossUnder(m, run.task));
  if (m.accuracy === null) add(text.perplexity, m.perplexity, m.base_loss === null ? null : Math.exp(m.base_loss), (value) => (value < 100 ? fixed(value, 2) : measure(value)), true, text.perplexityUnder);
  if (m.loss === null || out.length < 3) add(text.trainLoss, m.train_loss, null, measure, true, text.lossUnder({ ...m, n_validation: null }, run.task));
  const took = m.seconds ?? run.elapsed_ms / 1000;
  out.splice(3);
  out.push({ label: text.cost, value: duration(took), better: null, falls: false, beside: m.peak_memory_bytes === null ? '' : text.atMost(m.peak_memory_bytes), under: text.estimateWas(run) });
  return out;
}
