// What came out of a run, judged: the sentence itself is in the catalogue.
import type { RunMetrics, Task } from '../bindings';

export type Verdict = {
  /** How much it learned; "unchecked" when nothing was kept aside. */
  outcome: 'learned' | 'little' | 'worse' | 'unchecked';
  /** What it is judged by. */
  by: 'accuracy' | 'loss';
};

/** Losses fall a little by chance: less than 2 % says little. Accuracies within 1 point say little, too. */
export function verdict(task: Task, metrics: RunMetrics): Verdict {
  if (task === 'classify' && metrics.accuracy !== null && metrics.base_accuracy !== null) {
    const gain = metrics.accuracy - metrics.base_accuracy;
    return { by: 'accuracy', outcome: gain > 0.01 ? 'learned' : gain < -0.01 ? 'worse' : 'little' };
  }
  if (metrics.loss === null || metrics.base_loss === null) return { by: 'loss', outcome: 'unchecked' };
  const fall = 1 - metrics.loss / metrics.base_loss;
  return { by: 'loss', outcome: fall > 0.02 ? 'learned' : fall < 0 ? 'worse' : 'little' };
}
