// Reading a file of examples: what was asked for, how far it is, what came of it. One at a time; the latest wins.
import type { ApiError, DatasetDetails, ImportProgress } from '../bindings';
import { asApiError, commands, streams } from '../platform/host';
import { draft } from './draft.svelte';
import { refreshDatasets } from './library.svelte';

export type Import =
  | { state: 'idle' }
  | { state: 'reading'; path: string; progress: ImportProgress | null }
  | { state: 'refused'; path: string; error: ApiError };

let current = $state<Import>({ state: 'idle' });
let chosen = $state<DatasetDetails | null>(null);
let abort: AbortController | null = null;

export const importing = {
  get current(): Import {
    return current;
  },
  /** The examples of the draft in full, once they are known. */
  get chosen(): DatasetDetails | null {
    return chosen && draft.data === chosen.id ? chosen : null;
  },
};

/** Reads a file and takes it for the run being prepared; answers the dataset, or null when it was refused. */
export function importFile(path: string, keepGood = false): Promise<DatasetDetails | null> {
  abort?.abort();
  const mine = (abort = new AbortController());
  current = { state: 'reading', path, progress: null };
  const onProgress = (progress: ImportProgress) => {
    if (abort === mine) current = { state: 'reading', path, progress };
  };
  return settle(path, mine, streams.data_import({ path, keep_good: keepGood }, onProgress, mine.signal));
}

/** Takes a sample for the run being prepared. */
export function importSample(id: string, name: string): Promise<DatasetDetails | null> {
  abort?.abort();
  const mine = (abort = new AbortController());
  current = { state: 'reading', path: name, progress: null };
  return settle(name, mine, commands.sample_import({ id }));
}

async function settle(path: string, mine: AbortController, reading: Promise<DatasetDetails>): Promise<DatasetDetails | null> {
  try {
    const details = await reading;
    if (abort !== mine) return null;
    take(details);
    current = { state: 'idle' };
    await refreshDatasets();
    return details;
  } catch (thrown) {
    if (abort === mine) current = { state: 'refused', path, error: asApiError(thrown) };
    return null;
  }
}

function take(details: DatasetDetails): void {
  chosen = details;
  draft.data = details.id;
}

/** Reads in full what the draft names, after a reload or a choice from a list. */
export async function showChosen(): Promise<void> {
  const id = draft.data;
  if (!id || chosen?.id === id) return;
  try {
    const details = await commands.data_show({ id });
    if (draft.data === id) chosen = details;
  } catch (thrown) {
    // It was removed: the draft starts without examples.
    if (asApiError(thrown).code === 'not_found' && draft.data === id) draft.data = null;
  }
}

export function forgetRefusal(): void {
  if (current.state === 'refused') current = { state: 'idle' };
}
