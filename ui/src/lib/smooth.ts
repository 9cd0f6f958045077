// Centred smoothing: a local line under a bell, so that the curve does not lag behind its points as a running mean does.

/** Smooths evenly spaced values; `width` is the bell's standard deviation in points, 0 leaves them as they are.
 *  With `before` (the result for a shorter prefix of the same values) only the end that can change is computed again. */
export function smooth(values: ArrayLike<number>, width: number, before: readonly number[] = []): number[] {
  const n = values.length;
  if (width <= 0) return Array.from(values);
  const reach = Math.ceil(width * 4);
  const keep = Math.max(0, Math.min(before.length, n) - reach - 1);
  const out = before.slice(0, keep);
  for (let i = keep; i < n; i++) out.push(fit(values, i, width, reach));
  return out;
}

function fit(values: ArrayLike<number>, at: number, width: number, reach: number): number {
  let w0 = 0, w1 = 0, w2 = 0, y0 = 0, y1 = 0;
  const last = Math.min(values.length - 1, at + reach);
  for (let i = Math.max(0, at - reach); i <= last; i++) {
    const t = i - at;
    const value = values[i] as number;
    if (!Number.isFinite(value)) continue;
    const weight = Math.exp(-((t / width) ** 2) / 2);
    w0 += weight;
    w1 += weight * t;
    w2 += weight * t * t;
    y0 += weight * value;
    y1 += weight * t * value;
  }
  const determinant = w0 * w2 - w1 * w1;
  if (w0 === 0) return Number.NaN;
  return determinant > 1e-9 * w0 * w0 ? (w2 * y0 - w1 * y1) / determinant : y0 / w0;
}

/** The widths offered for a run of so many steps, widest last; 0 is off. */
export function smoothingWidths(nSteps: number): number[] {
  const middle = Math.max(2, Math.min(200, Math.round(nSteps / 42)));
  return [0, Math.max(1, Math.round(middle / 3)), middle, middle * 3];
}
