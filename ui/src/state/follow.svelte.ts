// One run, watched: what is recorded is read first, then every event that follows arrives through a stream.
import type { ApiError, RunDetails } from '../bindings';
import { applyEvent, emptyTrace, traceOf, type Trace } from '../lib/trace';
import { asApiError, commands, streams } from '../platform/host';

const LIVE = new Set(['queued', 'running', 'paused']);

export class FollowedRun {
  details = $state<RunDetails | null>(null);
  error = $state<ApiError | null>(null);
  /** Counts up when something arrived, a few times a second; the trace itself is appended to in place. */
  version = $state(0);
  trace: Trace = emptyTrace();
  readonly id: string;
  #abort = new AbortController();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #following = false;

  constructor(id: string) {
    this.id = id;
    void this.#watch();
  }

  stop(): void {
    this.#abort.abort();
    clearTimeout(this.#timer);
  }

  /** Reads the run's line again, after something was asked of it. */
  async refresh(): Promise<void> {
    try {
      const details = await commands.run_show({ id: this.id });
      if (!this.#abort.signal.aborted) {
        this.details = details;
        this.error = null;
      }
    } catch (thrown) {
      this.error = asApiError(thrown);
    }
  }

  /** The run's line says that it waits a moment after the event did: it is read until both agree. */
  async #settle(): Promise<void> {
    await this.refresh();
    const lags = this.trace.ended?.event === 'paused' && this.details?.status === 'running';
    if (lags && !this.#abort.signal.aborted) setTimeout(() => void this.#settle(), 200);
  }

  async #watch(): Promise<void> {
    await this.refresh();
    if (!this.details) return;
    if (await this.#read()) await this.#follow();
  }

  async #read(): Promise<boolean> {
    try {
      this.trace = traceOf(await commands.run_history({ id: this.id }));
      this.version++;
      return true;
    } catch (thrown) {
      this.error = asApiError(thrown);
      return false;
    }
  }

  async #follow(): Promise<void> {
    if (this.#following) return;
    this.#following = true;
    try {
      await this.#followWhileLive();
    } finally {
      this.#following = false;
    }
  }

  async #followWhileLive(): Promise<void> {
    while (!this.#abort.signal.aborted && this.details && LIVE.has(this.details.status)) {
      try {
        await streams.run_follow({ id: this.id, since_seq: this.trace.lastSeq }, ({ events }) => this.#take(events), this.#abort.signal);
      } catch (thrown) {
        if (this.#abort.signal.aborted) return;
        this.error = asApiError(thrown);
      }
      await this.refresh();
      // A stream that ends although the run lives is opened again, not at once.
      await new Promise((resolve) => setTimeout(resolve, 400));
    }
  }

  #take(events: Parameters<typeof applyEvent>[1][]): void {
    if (!events.length) return;
    for (const event of events) applyEvent(this.trace, event);
    if (events.some((event) => event.event !== 'step' && event.event !== 'phase')) void this.#settle();
    // Painting takes from the processor that trains: a long run is painted more rarely.
    const n = this.trace.steps.step.length;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.version++;
    }, n > 20_000 ? 1000 : n > 4000 ? 300 : 120);
  }

  /** Goes on following a run that was resumed after it had ended. */
  async resumed(): Promise<void> {
    await this.refresh();
    // A run that had ended goes on from its last checkpoint: what is recorded is read anew.
    if (!this.#following && this.details && LIVE.has(this.details.status)) await this.#read();
    void this.#follow();
  }
}
