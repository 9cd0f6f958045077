// A run's columns as a chart takes them: one x, and values or gaps for every line.
import { smooth } from './smooth';
import type { Trace } from './trace';

export type Gaps = (number | null)[];
export type LossLines = { x: number[]; raw: Gaps; smooth: Gaps; validation: Gaps; smoothed: number[] };

/** Training loss, raw and smoothed, and validation loss. `before` is an earlier `smoothed` of the same run and width. */
export function lossLines(trace: Trace, width: number, before: readonly number[] = []): LossLines {
  const steps = trace.steps.step;
  const smoothed = smooth(trace.steps.loss, width, before.length <= steps.length ? before : []);
  const checks = new Map(trace.evaluations.map((one) => [one.step, one.loss]));
  const known = new Set<number>();
  const x: number[] = [];
  const raw: Gaps = [];
  const line: Gaps = [];
  const validation: Gaps = [];
  const add = (step: number, loss: number | null, fit: number | null) => {
    x.push(step);
    raw.push(loss);
    line.push(fit);
    validation.push(checks.get(step) ?? null);
    if (checks.has(step)) known.add(step);
  };
  // Checks before the first step, and (only with nothing else there) after the last, have no step of their own.
  for (const step of [...checks.keys()].sort((a, b) => a - b)) if (step < (steps[0] ?? Infinity)) add(step, null, null);
  const gap = (value: number) => (Number.isFinite(value) ? value : null);
  for (let i = 0; i < steps.length; i++) add(steps[i] as number, gap(trace.steps.loss[i] as number), gap(smoothed[i] as number));
  for (const step of [...checks.keys()].sort((a, b) => a - b)) if (!known.has(step) && step > (x.at(-1) ?? -1)) add(step, null, null);
  return { x, raw, smooth: line, validation, smoothed };
}

/** What stands in a CSV of a run: one row a step, checks in their own column. */
export function csvOf(trace: Trace): string {
  const s = trace.steps;
  const checks = new Map(trace.evaluations.map((one) => [one.step, one.loss]));
  const head = 'step,epoch,loss,validation_loss,learning_rate,gradient_norm,tokens_per_s,memory_bytes';
  const lines = s.step.map((step, i) => [step, s.epoch[i], s.loss[i], checks.get(step) ?? '', s.learning_rate[i], s.gradient_norm[i], s.tokens_per_s[i], s.memory_bytes[i]].join(','));
  const base = checks.has(0) ? [`0,0,,${checks.get(0)},,,,`] : [];
  return [head, ...base, ...lines].join('\n') + '\n';
}
