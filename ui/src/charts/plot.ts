// How every chart of the window is drawn: hairlines across, a baseline, round ticks, lines by role. Knows uPlot and the
// tokens; receives ready series.
import uPlot from 'uplot';
import { logTicks, span, ticks, topTick } from '../lib/ticks';

export type Line = {
  values: (number | null)[];
  /** Name of a colour token. */
  color: string;
  /** `raw` is thin and faint, `dots` are rare values joined by straight lines. */
  kind: 'line' | 'raw' | 'dots';
};

export type Look = {
  lines: Line[];
  log: boolean;
  compact: boolean;
  /** The range of y begins at 0. */
  fromZero: boolean;
  yText: (value: number) => string;
  xText: (value: number, last: boolean) => string;
  /** The x range: the whole run, so that the empty part is what is left. */
  xSpan: () => [number, number];
  sync: string;
  /** Painted over the lines. */
  over: (u: uPlot) => void;
  onCursor: (index: number | null, left: number) => void;
  onZoom: (range: [number, number] | null) => void;
};

export const token = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const font = () => `${12 * (window.devicePixelRatio || 1) * (rem() / 16)}px ${token('--font-ui')}`;
const rem = () => Number.parseFloat(getComputedStyle(document.documentElement).fontSize) || 16;
export const px = (u: uPlot) => u.ctx.canvas.width / Math.max(u.width, 1);

export function options(look: Look, width: number, height: number): uPlot.Options {
  const quiet = { show: false };
  return {
    width,
    height,
    padding: look.compact ? [6, 8, 0, 0] : [10, 24, 0, 0],
    legend: quiet,
    cursor: cursor(look),
    scales: {
      x: { time: false, range: () => look.xSpan() },
      y: { distr: look.log ? 3 : 1, range: (u) => yRange(u, look) },
    },
    axes: [
      {
        stroke: () => token('--text-3'), font: font(), size: look.compact ? 20 : 24, gap: look.compact ? 2 : 6, grid: quiet, ticks: quiet,
        border: { show: true, stroke: () => token('--line-2'), width: 1 },
        splits: (u) => xSplits(u, look), values: (_u, splits) => splits.map(() => ''),
      },
      {
        stroke: () => token('--text-3'), font: font(), size: 36, gap: 8, ticks: quiet, border: quiet,
        grid: { show: true, stroke: () => token('--grid'), width: 1 },
        splits: (_u, _i, low, high) => (look.log ? logTicks(low, high) : look.compact ? [0, topTick(high / 1.08).tick] : ticks(low, high, 4.5)),
        values: (_u, splits) => splits.map((value) => (look.compact ? '' : look.yText(value))),
      },
    ],
    series: [{}, ...look.lines.map((line) => series(line, look.compact))],
    hooks: {
      draw: [(u) => paintX(u, look), (u) => look.compact && paintY(u, look), look.over],
      setCursor: [(u) => look.onCursor(u.cursor.idx ?? null, u.cursor.left ?? -1)],
      setSelect: [
        (u) => {
          if (u.select.width > 4) look.onZoom([u.posToVal(u.select.left, 'x'), u.posToVal(u.select.left + u.select.width, 'x')]);
        },
      ],
    },
  };
}

function series(line: Line, compact: boolean): uPlot.Series {
  const color = () => token(line.color);
  const dots = line.kind === 'dots';
  return {
    stroke: line.kind === 'raw' ? () => faint(color()) : color,
    width: line.kind === 'raw' ? 1 : compact ? 1.5 : 1.75,
    spanGaps: dots,
    // Whole pixels would turn a gentle slope into stairs.
    pxAlign: 0,
    points: dots ? { show: true, size: 6, width: 1.5, stroke: color, fill: () => token('--surface') } : { show: false },
  };
}

/** The colour of raw values: 32 % of it over the surface. */
function faint(color: string): string {
  return /^#[0-9a-f]{6}$/i.test(color) ? `${color}52` : color;
}

function cursor(look: Look): uPlot.Cursor {
  const moving = (type: string) => type === 'mousemove' || type === 'mouseleave' || type === 'mouseenter';
  return {
    y: false,
    drag: { x: true, y: false, setScale: false },
    points: { size: 7, width: 1.5, stroke: () => token('--surface'), fill: (_u, i) => token(look.lines[i - 1]?.color ?? '--text-2')},
    sync: { key: look.sync, setSeries: false, scales: ['x', null], filters: { pub: moving, sub: moving } },
    bind: {
      dblclick: () => () => {
        look.onZoom(null);
        return null;
      },
    },
  };
}

function xSplits(u: uPlot, look: Look): number[] {
  const { min = 0, max = 1 } = u.scales['x'] ?? {};
  const low = Math.ceil(min ?? 0);
  const high = Math.floor(max ?? 1);
  if (look.compact) return [low, high];
  const step = (high - low) / 5;
  // The end of the run is always named; ticks too close to it are left out.
  return [...ticks(low, high, 6).filter((value) => Number.isInteger(value) && value <= high - step * 0.6), high];
}

function yRange(u: uPlot, look: Look): [number, number] {
  const [from, to] = u.series[0]?.idxs ?? [0, u.data[0].length - 1];
  const [low, high] = span(u.data.slice(1).map((values) => Array.prototype.slice.call(values, from, to + 1) as (number | null)[]));
  if (look.fromZero) return [0, topTick(high).end];
  return look.log && low <= 0 ? [Math.max(high / 1000, 1e-9), Math.max(high, 1e-6)] : [low, high];
}

/** Words under the baseline: the first begins at its tick, the last ends at it, so that none is cut off. */
function paintX(u: uPlot, look: Look): void {
  const { ctx, bbox } = u;
  const splits = xSplits(u, look);
  ctx.save();
  ctx.font = font();
  ctx.fillStyle = token('--text-3');
  ctx.textBaseline = 'alphabetic';
  splits.forEach((value, i) => {
    ctx.textAlign = i === 0 ? 'left' : i === splits.length - 1 ? 'right' : 'center';
    ctx.fillText(look.xText(value, i === splits.length - 1), u.valToPos(value, 'x', true), bbox.top + bbox.height + (look.compact ? 15 : 20) * px(u));
  });
  ctx.restore();
}

/** Words of a small chart's y axis stand at its left edge, under its title. */
function paintY(u: uPlot, look: Look): void {
  const { ctx } = u;
  ctx.save();
  ctx.font = font();
  ctx.fillStyle = token('--text-3');
  ctx.textAlign = 'left';
  ctx.textBaseline = 'middle';
  for (const value of [0, topTick((u.scales['y']?.max ?? 1) / 1.08).tick]) ctx.fillText(look.yText(value), 0, u.valToPos(value, 'y', true));
  ctx.restore();
}

/** Short ticks on the baseline for what is to come. */
export function paintAhead(u: uPlot, steps: readonly number[]): void {
  const { ctx, bbox } = u;
  ctx.save();
  ctx.strokeStyle = token('--line-2');
  ctx.lineWidth = px(u);
  for (const step of steps) {
    const x = Math.round(u.valToPos(step, 'x', true)) + 0.5;
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top + bbox.height - 4 * px(u));
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

/** Where a live run is now: a hairline from the last point down, and the point itself. */
export function paintNow(u: uPlot, step: number, value: number, color: string): void {
  const { ctx, bbox } = u;
  const x = u.valToPos(step, 'x', true);
  if (x < bbox.left || x > bbox.left + bbox.width) return;
  const y = Math.min(Math.max(u.valToPos(value, 'y', true), bbox.top), bbox.top + bbox.height);
  ctx.save();
  ctx.strokeStyle = token('--line-2');
  ctx.lineWidth = px(u);
  ctx.beginPath();
  ctx.moveTo(Math.round(x) + 0.5, bbox.top);
  ctx.lineTo(Math.round(x) + 0.5, bbox.top + bbox.height);
  ctx.stroke();
  circle(u, x, y, 3, token(color), null);
  ctx.restore();
}

/** The best check: a larger hollow dot, named. */
export function paintBest(u: uPlot, step: number, value: number, color: string, words: string): void {
  const { ctx, bbox } = u;
  const x = u.valToPos(step, 'x', true);
  if (x < bbox.left || x > bbox.left + bbox.width) return;
  const y = Math.max(u.valToPos(value, 'y', true), bbox.top);
  ctx.save();
  circle(u, x, y, 5, token('--surface'), token(color));
  ctx.font = `500 ${font()}`;
  ctx.fillStyle = token('--text');
  const half = ctx.measureText(words).width / 2;
  ctx.textAlign = 'center';
  const at = Math.min(Math.max(x, bbox.left + half), bbox.left + bbox.width - half);
  ctx.fillText(words, at, y - 14 * px(u) < bbox.top + 8 * px(u) ? y + 24 * px(u) : y - 14 * px(u));
  ctx.restore();
}

function circle(u: uPlot, x: number, y: number, radius: number, fill: string, stroke: string | null): void {
  const { ctx } = u;
  ctx.beginPath();
  ctx.arc(x, y, radius * px(u), 0, Math.PI * 2);
  ctx.fillStyle = fill;
  ctx.fill();
  if (stroke) {
    ctx.strokeStyle = stroke;
    ctx.lineWidth = 2 * px(u);
    ctx.stroke();
  }
}
