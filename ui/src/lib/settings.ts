// Settings in a form: what holds, what was changed, and what a person typed.
import type { DatasetSummary, Method, Preset, SettingGroup, SettingSpec, SettingValue, SettingsSchema } from '../bindings';
import { fixed, rate } from './format';

export type Values = Record<string, SettingValue>;

/** What holds when a preset and changes are laid over the defaults. */
export function effective(schema: SettingsSchema, preset: string | null, changes: Values): Values {
  const out: Values = {};
  for (const spec of schema.settings) out[spec.name] = spec.default;
  return { ...out, ...presetNamed(schema, preset)?.overrides, ...changes };
}

/** What would hold without the changes: what "Undo" goes back to. */
export function basis(schema: SettingsSchema, preset: string | null): Values {
  return effective(schema, preset, {});
}

/** What conditions look at besides the settings: the examples and the method. */
export type Work = { data: Pick<DatasetSummary, 'task' | 'objective'> | null; method: Method };

/** The settings that matter where these values hold. */
export function mattering(schema: SettingsSchema, work: Work, values: Values): SettingSpec[] {
  const word = (subject: string): SettingValue => {
    if (subject === 'task') return work.data?.task ?? null;
    if (subject === 'method') return work.method;
    return values[subject] ?? (subject === 'objective' ? (work.data?.objective ?? null) : null);
  };
  return schema.settings.filter((spec) => spec.when.every((when) => when.words.some((one) => one === word(when.subject))));
}

/** Changes without those of settings that do not matter now: they are kept for when they do, and say nothing until then. */
export function changesThatMatter(schema: SettingsSchema, work: Work, preset: string | null, changes: Values): Values {
  const names = new Set(mattering(schema, work, effective(schema, preset, changes)).map((spec) => spec.name));
  return Object.fromEntries(Object.entries(changes).filter(([name]) => names.has(name)));
}

export function presetNamed(schema: SettingsSchema, name: string | null): Preset | null {
  return schema.presets.find((preset) => preset.name === name) ?? null;
}

/** Changes without those that say what holds anyway. */
export function withChange(schema: SettingsSchema, preset: string | null, changes: Values, name: string, value: SettingValue): Values {
  const out = { ...changes };
  if (same(basis(schema, preset)[name] ?? null, value)) delete out[name];
  else out[name] = value;
  return out;
}

export function same(a: SettingValue, b: SettingValue): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Settings by group, in the order of the schema; `find` keeps those whose words contain all of its words. */
export function grouped(settings: readonly SettingSpec[], find = ''): { group: SettingGroup; settings: SettingSpec[] }[] {
  const words = find.toLowerCase().split(/\s+/).filter(Boolean);
  const out: { group: SettingGroup; settings: SettingSpec[] }[] = [];
  for (const spec of settings) {
    const text = `${spec.name} ${spec.label} ${spec.sentence}`.toLowerCase();
    if (!words.every((word) => text.includes(word))) continue;
    const last = out.find((one) => one.group === spec.group);
    if (last) last.settings.push(spec);
    else out.push({ group: spec.group, settings: [spec] });
  }
  return out;
}

/** A value as it stands in its field: without the unit; fractions as percent. */
export function fieldText(spec: SettingSpec, value: SettingValue): string {
  if (value === null) return '';
  if (Array.isArray(value)) return value.join(', ');
  if (typeof value !== 'number') return String(value);
  if (spec.unit === 'fraction') return String(Number((value * 100).toPrecision(6)));
  return spec.kind === 'number' && value !== 0 && Math.abs(value) < 0.001 ? rate(value) : String(value);
}

/** A value with its unit, for a sentence. */
export function spoken(spec: SettingSpec, value: SettingValue, none: string): string {
  if (value === null) return none;
  const choice = spec.choices.find((one) => one.value === value);
  if (choice) return choice.label;
  const text = fieldText(spec, value);
  const unit = spec.unit === 'fraction' ? '%' : spec.unit;
  return unit ? `${text}\u00a0${unit}` : text;
}

export type Typed =
  | { ok: true; value: SettingValue }
  | { ok: false; problem: 'number' | 'whole' | 'low' | 'high' | 'empty'; nearest: SettingValue };

/** What a person typed, as a value; or why it is none, with the nearest one that is. */
export function typed(spec: SettingSpec, text: string): Typed {
  const trimmed = text.trim();
  if (spec.kind === 'list') {
    const words = trimmed.split(/[\s,]+/).filter(Boolean);
    return { ok: true, value: words.length ? words : null };
  }
  if (trimmed === '') return spec.default === null ? { ok: true, value: null } : { ok: false, problem: 'empty', nearest: spec.default };
  if (spec.kind !== 'integer' && spec.kind !== 'number') return { ok: true, value: trimmed };
  return typedNumber(spec, trimmed);
}

function typedNumber(spec: SettingSpec, text: string): Typed {
  const bare = text.replace(/%$/, '').replaceAll(/[\u00a0 ,](?=\d{3}(\D|$))/g, '').trim();
  let value = Number(bare);
  if (bare === '' || !Number.isFinite(value)) return { ok: false, problem: 'number', nearest: spec.default };
  if (spec.unit === 'fraction') value = Number((value / 100).toPrecision(12));
  if (spec.kind === 'integer' && !Number.isInteger(value)) return { ok: false, problem: 'whole', nearest: Math.round(value) };
  if (spec.minimum !== null && value < spec.minimum) return { ok: false, problem: 'low', nearest: spec.minimum };
  if (spec.maximum !== null && value > spec.maximum) return { ok: false, problem: 'high', nearest: spec.maximum };
  return { ok: true, value };
}

/** A limit as it would be typed. */
export function limitText(spec: SettingSpec, value: number): string {
  return spec.unit === 'fraction' ? `${fixed(value * 100, 0)}\u00a0%` : fieldText(spec, value);
}
