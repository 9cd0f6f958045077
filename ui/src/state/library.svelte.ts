// The lists that many places need: examples, models, samples, settings. Read when first asked for, again after a change.
import type { CachedModel, DatasetSummary, Method, ModelSummary, SampleSummary, SettingsSchema, Task } from '../bindings';
import type { ApiError } from '../bindings';
import { asApiError, commands } from '../platform/host';

let datasets = $state<DatasetSummary[] | null>(null);
let models = $state<ModelSummary[] | null>(null);
let found = $state<CachedModel[]>([]);
let samples = $state<SampleSummary[] | null>(null);
let error = $state<ApiError | null>(null);
const schemas = $state<Record<string, SettingsSchema>>({});
const asked = new Set<string>();

export const library = {
  get datasets() {
    return datasets;
  },
  get models() {
    return models;
  },
  /** Models that other programs fetched on this computer, and that are not among ours yet. */
  get found() {
    return found;
  },
  get samples() {
    return samples;
  },
  get error() {
    return error;
  },
  schema(task: Task, method: Method): SettingsSchema | null {
    return schemas[`${task}/${method}`] ?? null;
  },
};

async function read(what: () => Promise<void>): Promise<void> {
  try {
    await what();
    error = null;
  } catch (thrown) {
    error = asApiError(thrown);
  }
}

export const refreshDatasets = () => read(async () => void (datasets = await commands.data_list()));
export const refreshModels = async () => void (await Promise.all([read(async () => void (models = await commands.models_list())), refreshFound()]));
export const refreshSamples = () => read(async () => void (samples = await commands.samples_list()));

/** An offer beside the list: where it cannot be made, nothing is missing. */
async function refreshFound(): Promise<void> {
  found = await commands.models_found().catch(() => []);
}

export function refreshLibrary(): Promise<unknown> {
  return Promise.all([refreshDatasets(), refreshModels(), refreshSamples()]);
}

/** Asks for the settings of a piece of work, once. */
export async function needSchema(task: Task, method: Method): Promise<void> {
  const key = `${task}/${method}`;
  if (asked.has(key)) return;
  asked.add(key);
  await read(async () => void (schemas[key] = await commands.settings_schema({ task, method })));
  if (!schemas[key]) asked.delete(key);
}
