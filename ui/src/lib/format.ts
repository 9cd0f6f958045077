// Numbers as people read them: a unit after a no-break space, figures that align, no locale surprises.

export const NBSP = '\u00a0';
export const DOT = '·';

/** 4812 → "4,812". */
export function group(value: number): string {
  const sign = value < 0 ? '−' : '';
  return sign + String(Math.round(Math.abs(value))).replace(/\B(?=(\d{3})+(?!\d))/g, ',');
}

/** A number with so many digits after the point, thousands grouped. */
export function fixed(value: number, digits: number): string {
  const [whole = '0', part] = Math.abs(value).toFixed(digits).split('.');
  const sign = value < 0 && Number(value.toFixed(digits)) !== 0 ? '−' : '';
  return sign + whole.replace(/\B(?=(\d{3})+(?!\d))/g, ',') + (part ? `.${part}` : '');
}

/** 269_000_000 → "269 MB", 1_280_000_000 → "1.28 GB". */
export function bytes(n: number): string {
  if (n < 1000) return `${group(n)}${NBSP}bytes`;
  if (n < 999_500) return `${group(n / 1e3)}${NBSP}kB`;
  if (n < 9_950_000) return `${fixed(n / 1e6, 1)}${NBSP}MB`;
  if (n < 999_500_000) return `${group(n / 1e6)}${NBSP}MB`;
  if (n < 99.5e9) return `${fixed(n / 1e9, n < 9.995e9 ? 2 : 1)}${NBSP}GB`;
  return `${group(n / 1e9)}${NBSP}GB`;
}

/** Sizes in the unit of the largest, for columns whose decimal points stand under one another. */
export function inUnitOf(largest: number): (n: number) => string {
  if (largest >= 1e9) return (n) => `${fixed(n / 1e9, 2)}${NBSP}GB`;
  return (n) => `${fixed(n / 1e6, largest >= 1e8 ? 0 : 1)}${NBSP}MB`;
}

/** 6_720 s → "1 h 52 min"; below a minute whole seconds; below one second "under 1 s". */
export function duration(seconds: number): string {
  if (seconds < 1) return `under 1${NBSP}s`;
  if (seconds < 59.5) return `${Math.round(seconds)}${NBSP}s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes}${NBSP}min`;
  const hours = Math.floor(minutes / 60);
  const rest = minutes % 60;
  if (hours < 48) return rest ? `${hours}${NBSP}h ${rest}${NBSP}min` : `${hours}${NBSP}h`;
  const days = Math.floor(hours / 24);
  return hours % 24 ? `${days} days ${hours % 24}${NBSP}h` : `${days} days`;
}

/** Seconds with one digit, for short work: "0.6 s"; less than a tenth in milliseconds. */
export function seconds(value: number): string {
  if (value < 0.1) return `${Math.max(1, Math.round(value * 1000))}${NBSP}ms`;
  return value < 10 ? `${fixed(value, 1)}${NBSP}s` : duration(value);
}

/** 0.827 → "82.7 %". */
export function percent(share: number, digits = 1): string {
  return `${fixed(share * 100, digits)}${NBSP}%`;
}

/** A loss or another bare measure: three digits, fewer when it is large. */
export function measure(value: number): string {
  if (!Number.isFinite(value) || Math.abs(value) > 1e15) return DOT;
  const size = Math.abs(value);
  return fixed(value, size >= 1000 ? 0 : size >= 100 ? 1 : size >= 10 ? 2 : 3);
}

/** A learning rate: "7.97e-5", "0.01". */
export function rate(value: number): string {
  if (value === 0) return '0';
  if (Math.abs(value) >= 0.01) return String(Number(value.toPrecision(3)));
  const [mantissa = '', exponent = ''] = value.toExponential(2).split('e');
  return `${String(Number(mantissa))}e${String(Number(exponent))}`;
}

/** A learning rate with always three figures, for columns and values that change: "7.50e-5". */
export function rateFixed(value: number): string {
  const [mantissa = '', exponent = ''] = value.toExponential(2).split('e');
  return value === 0 ? '0' : `${mantissa}e${Number(exponent)}`;
}

/** 9_770_000 → "9.77 M". */
export function short(n: number): string {
  for (const [size, letter] of [[1e12, 'T'], [1e9, 'B'], [1e6, 'M'], [1e3, 'k']] as const) {
    if (n >= size * 0.9995) {
      const value = n / size;
      return `${value.toFixed(value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2)}${NBSP}${letter}`;
    }
  }
  return group(n);
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const two = (n: number) => String(n).padStart(2, '0');

/** "14:02". */
export function clock(atMs: number): string {
  const at = new Date(atMs);
  return `${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** "14:02:41". */
export function clockSeconds(atMs: number): string {
  return `${clock(atMs)}:${two(new Date(atMs).getSeconds())}`;
}

/** "Today 14:02", "19 Nov 18:06", "19 Nov 2025". */
export function moment(atMs: number, nowMs: number): string {
  const at = new Date(atMs);
  const now = new Date(nowMs);
  if (at.toDateString() === now.toDateString()) return `Today ${clock(atMs)}`;
  const day = `${at.getDate()}${NBSP}${MONTHS[at.getMonth()]}`;
  return at.getFullYear() === now.getFullYear() ? `${day} ${clock(atMs)}` : `${day}${NBSP}${at.getFullYear()}`;
}

/** The last part of a path, whichever slash it uses. */
export function fileName(path: string): string {
  return path.split(/[\\/]/).filter(Boolean).at(-1) ?? path;
}
