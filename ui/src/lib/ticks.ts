// Round numbers for axes.

/** Three or four round values within [low, high], at most `most`. */
export function ticks(low: number, high: number, most = 4): number[] {
  if (!(high > low)) return [low];
  const rough = (high - low) / Math.max(1, most);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 2.5, 5, 10].find((unit) => unit * power >= rough * 0.999) ?? 10) * power;
  const out: number[] = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) out.push(Number((i * step).toPrecision(12)));
  return out;
}

/** For a small chart that begins at 0: the one tick beside 0, and where the axis ends. */
export function topTick(high: number): { tick: number; end: number } {
  if (!(high > 0)) return { tick: 1, end: 1 };
  const power = 10 ** Math.floor(Math.log10(high * 1.15));
  const unit = [5, 2, 1].find((one) => one * power <= high * 1.15) ?? 1;
  const tick = Number((unit * power).toPrecision(6));
  return { tick, end: Math.max(tick, high * 1.08) };
}

/** Powers of ten and their 2 and 5 within [low, high], for a logarithmic axis. */
export function logTicks(low: number, high: number): number[] {
  if (!(low > 0) || !(high > low)) return [];
  const out: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    for (const unit of [1, 2, 5]) {
      const value = Number((unit * 10 ** power).toPrecision(6));
      if (value >= low && value <= high) out.push(value);
    }
  }
  return out.length ? out : ticks(low, high, 3);
}

/** Where values lie, without the wildest ones, with a little air; `[0, 1]` for none. */
export function span(series: readonly ArrayLike<number | null>[], air = 0.06): [number, number] {
  const values: number[] = [];
  for (const one of series) {
    // A few thousand values tell where a hundred thousand lie; the last one always counts.
    const stride = Math.max(1, Math.floor(one.length / 4000));
    for (let i = (one.length - 1) % stride; i < one.length; i += stride) {
      const value = one[i];
      if (typeof value === 'number' && Number.isFinite(value)) values.push(value);
    }
  }
  if (!values.length) return [0, 1];
  values.sort((a, b) => a - b);
  const at = (share: number) => values[Math.round((values.length - 1) * share)] as number;
  const low = values.length > 100 ? at(0.002) : at(0);
  const high = values.length > 100 ? at(0.998) : at(1);
  if (low === high) return [low - Math.max(Math.abs(low) * 0.1, 1e-9), high + Math.max(Math.abs(high) * 0.1, 1e-9)];
  return [low - (high - low) * air, high + (high - low) * air];
}
