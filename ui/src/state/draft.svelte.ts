// The run being prepared: kept while the window lives, a reload included.
import type { Method, RunRequest, SettingValue } from '../bindings';
import { changesThatMatter, type Work } from '../lib/settings';
import { library } from './library.svelte';

export type Draft = {
  data: string | null;
  model: string | null;
  name: string;
  method: Method;
  preset: string;
  settings: Record<string, SettingValue>;
  advanced: boolean;
};

const KEY = 'lorikeet.draft';
const EMPTY: Draft = { data: null, model: null, name: '', method: 'lora', preset: 'balanced', settings: {}, advanced: false };

function stored(): Draft {
  try {
    return { ...EMPTY, ...(JSON.parse(sessionStorage.getItem(KEY) ?? '{}') as Partial<Draft>) };
  } catch {
    return { ...EMPTY };
  }
}

export const draft = $state<Draft>(stored());

$effect.root(() => {
  $effect(() => sessionStorage.setItem(KEY, JSON.stringify(draft)));
});

/** What the run being prepared is about, as conditions of settings look at it. */
export function draftWork(): Work {
  return { data: library.datasets?.find((one) => one.id === draft.data) ?? null, method: draft.method };
}

/** The changes that mean something for it. */
export function draftChanges(): Record<string, SettingValue> {
  const work = draftWork();
  const schema = library.schema(work.data?.task ?? 'causal', work.method);
  const changes = { ...$state.snapshot(draft.settings) };
  return schema && work.data ? changesThatMatter(schema, work, draft.preset, changes) : changes;
}

/** The request it stands for; null until there are examples and a model. */
export function draftRequest(): RunRequest | null {
  if (!draft.data || !draft.model) return null;
  const request: RunRequest = { model: draft.model, data: draft.data, method: draft.method, preset: draft.preset, settings: draftChanges() };
  if (draft.name.trim()) request.name = draft.name.trim();
  return request;
}

/** Prepares a run like an earlier one. */
export function draftFrom(request: RunRequest): void {
  Object.assign(draft, EMPTY, {
    data: request.data, model: request.model, method: request.method ?? 'lora', preset: request.preset ?? 'balanced',
    settings: { ...request.settings }, advanced: Object.keys(request.settings ?? {}).length > 0,
  });
}

/** After a start: the next run gets a name of its own. */
export function draftStarted(): void {
  draft.name = '';
}
