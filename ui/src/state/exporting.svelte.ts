// One export of a result: asked for, under way, done or refused. Closing its dialog stops it.
import type { ApiError, Export, ExportChoice, ExportRequest, WorkProgress } from '../bindings';
import { asApiError, commands, streams } from '../platform/host';

export type ExportState =
  | { phase: 'asking' }
  | { phase: 'working'; progress: WorkProgress | null; share: number | null }
  | { phase: 'done'; made: Export }
  | { phase: 'failed'; error: ApiError };

export class Exporting {
  current = $state<ExportState>({ phase: 'asking' });
  /** The forms that the result can take; null until they are known. */
  choices = $state<ExportChoice[] | null>(null);
  #abort: AbortController | null = null;

  async ask(source: string): Promise<void> {
    try {
      this.choices = await commands.export_forms({ source });
    } catch (thrown) {
      this.current = { phase: 'failed', error: asApiError(thrown) };
    }
  }

  async start(request: ExportRequest): Promise<void> {
    this.#abort?.abort();
    const mine = (this.#abort = new AbortController());
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
