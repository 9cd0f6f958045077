// The lists that many places need: examples, models, samples, settings. Read when first asked for, again after a change.
import type { DatasetSummary, Method, ModelSummary, SampleSummary, SettingsSchema, Task } from '../bindings';
import type { ApiError } from '../bindings';
import { asApiError, commands } from '../platform/host';

let datasets = $state<DatasetSummary[] | null>(null);
let models = $state<ModelSummary[] | null>(null);
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
export const refreshModels = () => read(async () => void (models = await commands.models_list()));
export const refreshSamples = () => read(async () => void (samples = await commands.samples_list()));

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
