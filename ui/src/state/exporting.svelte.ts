// One export of a result: asked for, under way, done or refused. Closing its dialog stops it.
import type { ApiError, Export, ExportForm, ExportRequest, WorkProgress } from '../bindings';
import { asApiError, streams } from '../platform/host';
import { requestOf } from '../lib/exports';

export type ExportState =
  | { phase: 'asking' }
  | { phase: 'working'; progress: WorkProgress | null; share: number | null }
  | { phase: 'done'; made: Export }
  | { phase: 'failed'; error: ApiError };

export class Exporting {
  current = $state<ExportState>({ phase: 'asking' });
  #abort: AbortController | null = null;

  async start(wish: { source: string; to: ExportForm; format: string | null; folder: string | null }): Promise<void> {
    this.#abort?.abort();
    const mine = (this.#abort = new AbortController());
    const request: ExportRequest = requestOf(wish);
    this.current = { phase: 'working', progress: null, share: null };
    try {
      const made = await streams.export(request, (progress) => this.#tell(mine, progress), mine.signal);
      if (this.#abort === mine) this.current = { phase: 'done', made };
    } catch (thrown) {
      if (this.#abort === mine) this.current = { phase: 'failed', error: asApiError(thrown) };
    }
  }

  stop(): void {
    this.#abort?.abort();
    this.#abort = null;
    this.current = { phase: 'asking' };
  }

  again(): void {
    this.current = { phase: 'asking' };
  }

  #tell(mine: AbortController, progress: WorkProgress): void {
    if (this.#abort !== mine) return;
    this.current = { phase: 'working', progress, share: progress.total ? progress.done / progress.total : null };
  }
}
