// One model on its way from a hub: what comes, how far it is, how fast. What has come is kept when it is stopped.
import type { ApiError, DownloadProgress, ModelGetRequest } from '../bindings';
import { asApiError, streams } from '../platform/host';
import { draft } from './draft.svelte';
import { refreshModels } from './library.svelte';

export type Download =
  | { state: 'idle' }
  | { state: 'coming'; request: ModelGetRequest; progress: DownloadProgress | null; bytesPerSecond: number | null }
  | { state: 'failed'; request: ModelGetRequest; error: ApiError };

/** Time over which the rate is told, in milliseconds: long enough to be calm, short enough to be true. */
const RATE_OVER = 5_000;

let current = $state<Download>({ state: 'idle' });
let abort: AbortController | null = null;

export const downloading = {
  get current(): Download {
    return current;
  },
};

/** Brings a model and takes it for the run being prepared; answers its id, or null where it was stopped or refused. */
export async function download(request: ModelGetRequest): Promise<string | null> {
  abort?.abort();
  const mine = (abort = new AbortController());
  const seen: [at: number, bytes: number][] = [];
  current = { state: 'coming', request, progress: null, bytesPerSecond: null };
  try {
    const model = await streams.model_get(request, (progress) => abort === mine && tell(request, progress, seen), mine.signal);
    if (abort !== mine) return null;
    current = { state: 'idle' };
    draft.model = model.id;
    await refreshModels();
    return model.id;
  } catch (thrown) {
    if (abort === mine) current = { state: 'failed', request, error: asApiError(thrown) };
    return null;
  }
}

function tell(request: ModelGetRequest, progress: DownloadProgress, seen: [number, number][]): void {
  const now = performance.now();
  seen.push([now, progress.n_bytes]);
  while (seen.length > 2 && (seen[1]?.[0] ?? now) < now - RATE_OVER) seen.shift();
  const [first] = seen;
  const elapsed = first ? now - first[0] : 0;
  const bytesPerSecond = first && elapsed > 500 ? ((progress.n_bytes - first[1]) / elapsed) * 1000 : null;
  current = { state: 'coming', request, progress, bytesPerSecond };
}

export function stopDownload(): void {
  abort?.abort();
  abort = null;
  current = { state: 'idle' };
}
