// A small curve as an SVG path: 88 by 20, x is the share of planned steps, so a run that ended early is short.
import type { CurvePoint } from '../bindings';

export const SPARK_WIDTH = 88;
export const SPARK_HEIGHT = 20;

export type Spark = { path: string; end: { x: number; y: number }; rose: boolean };

/** The curve of a run; null with fewer than two points. */
export function spark(points: readonly CurvePoint[], nSteps: number | null): Spark | null {
  const first = points[0];
  const last = points.at(-1);
  if (!first || !last || points.length < 2) return null;
  const losses = points.map((point) => point.loss);
  const [low, high] = [Math.min(...losses), Math.max(...losses)];
  const total = Math.max(nSteps ?? 0, last.step, 1);
  const x = (step: number) => 1 + (step / total) * (SPARK_WIDTH - 6);
  const y = (loss: number) => 3 + ((high - loss) / (high - low || 1)) * (SPARK_HEIGHT - 6);
  const path = points.map((point, i) => `${i ? 'L' : 'M'}${x(point.step).toFixed(1)} ${y(point.loss).toFixed(1)}`).join('');
  return { path, end: { x: x(last.step), y: y(last.loss) }, rose: last.loss > first.loss };
}
