// What is known of a run: its recorded history, and every event that follows. Columns are appended to in place, since a run
// may have a hundred thousand steps; whoever shows them is told by `version`.
import type { RunEvent, RunHistory, StepColumns, StopReason } from '../bindings';

type EventOf<K extends RunEvent['event']> = Extract<RunEvent, { event: K }>;

export type Evaluated = EventOf<'evaluated'>;
export type Phase = { name: string; unit: string; done: number; total: number | null };
export type Sample = { step: number; prompt: string; answer: string; stop_reason: StopReason; at_ms: number };

export type Trace = {
  version: number;
  lastSeq: number;
  steps: StepColumns;
  evaluations: Evaluated[];
  samples: Sample[];
  /** Everything but steps and phases, in order: for the log. */
  events: RunEvent[];
  started: EventOf<'started'> | null;
  phase: Phase | null;
  /** The last word: how it ended, or that it waits; null while it works. */
  ended: EventOf<'completed' | 'failed' | 'cancelled' | 'paused'> | null;
  elapsedMs: number;
};

export function emptyTrace(): Trace {
  return {
    version: 0, lastSeq: 0, evaluations: [], samples: [], events: [], started: null, phase: null, ended: null, elapsedMs: 0,
    steps: { step: [], epoch: [], loss: [], learning_rate: [], gradient_norm: [], tokens_per_s: [], memory_bytes: [], at_ms: [] },
  };
}

/** The trace of a recorded history. */
export function traceOf(history: RunHistory): Trace {
  const trace = emptyTrace();
  trace.steps = onceEach(history.steps);
  for (const event of history.events) applyEvent(trace, event);
  trace.lastSeq = Math.max(trace.lastSeq, history.last_seq);
  return trace;
}

/** Steps in order, each once: what was done again after a resume replaces what was done before. */
function onceEach(columns: StepColumns): StepColumns {
  const keep: number[] = [];
  columns.step.forEach((step, i) => {
    while (keep.length && (columns.step[keep.at(-1) as number] as number) >= step) keep.pop();
    keep.push(i);
  });
  const out = Object.entries(columns).map(([name, column]) => [name, keep.length === column.length ? column : keep.map((i) => column[i])]);
  const clean = Object.fromEntries(out) as StepColumns;
  clean.loss = clean.loss.map(told);
  return clean;
}

/** JSON has no word for what is not a number: the host sends the largest one instead. */
const told = (value: number) => (Math.abs(value) > 1e300 ? Number.NaN : value);

/** Adds one event. A number that was told before means that the run goes on from an earlier checkpoint: what came after it
 *  is told again, so it is forgotten first. */
export function applyEvent(trace: Trace, event: RunEvent): void {
  if (event.event === 'phase') {
    // Phases are told live only and are not recorded: their numbers say nothing about what was heard.
    trace.phase = { name: event.name, unit: event.unit, done: event.done, total: event.total };
    trace.version++;
    return;
  }
  if (event.seq <= trace.lastSeq) goBack(trace, event);
  trace.lastSeq = event.seq;
  trace.version++;
  trace.elapsedMs = Math.max(trace.elapsedMs, event.elapsed_ms);
  switch (event.event) {
    case 'step':
      forgetFrom(trace, event.step);
      pushStep(trace.steps, event);
      trace.phase = null;
      trace.ended = null;
      return;
    case 'started':
      trace.started = event;
      trace.ended = null;
      break;
    case 'evaluated':
      trace.evaluations = [...trace.evaluations.filter((one) => one.step !== event.step), event];
      trace.phase = null;
      break;
    case 'sample':
      trace.samples = [...trace.samples.filter((one) => one.step !== event.step || one.prompt !== event.prompt), event];
      break;
    case 'resumed':
      trace.ended = null;
      break;
    case 'paused':
    case 'completed':
    case 'failed':
    case 'cancelled':
      trace.ended = event;
      trace.phase = null;
      break;
    case 'checkpoint':
    case 'warning':
      break;
  }
  trace.events = [...trace.events, event];
}

/** Forgets everything from an event on. */
function goBack(trace: Trace, event: RunEvent): void {
  trace.events = trace.events.filter((one) => one.seq < event.seq);
  trace.samples = trace.samples.filter((one) => one.step <= event.step);
  trace.evaluations = trace.evaluations.filter((one) => one.seq < event.seq);
  forgetFrom(trace, event.step + 1);
}

/** A run that goes on from an earlier checkpoint does steps again: what came after it is forgotten. */
function forgetFrom(trace: Trace, step: number): void {
  const last = trace.steps.step.at(-1);
  if (last === undefined || last < step) return;
  const keep = trace.steps.step.findIndex((one) => one >= step);
  for (const column of Object.values(trace.steps)) column.length = keep;
  trace.evaluations = trace.evaluations.filter((one) => one.step < step);
}

function pushStep(steps: StepColumns, event: EventOf<'step'>): void {
  steps.step.push(event.step);
  steps.epoch.push(event.epoch);
  steps.loss.push(told(event.loss));
  steps.learning_rate.push(event.learning_rate);
  steps.gradient_norm.push(event.gradient_norm);
  steps.tokens_per_s.push(event.tokens_per_s);
  steps.memory_bytes.push(event.memory_bytes);
  steps.at_ms.push(event.at_ms);
}

/** The best validation so far, the earliest of equals. */
export function bestEvaluation(evaluations: readonly Evaluated[]): Evaluated | null {
  return evaluations.reduce<Evaluated | null>((best, one) => (!best || one.loss < best.loss ? one : best), null);
}

/** When this stretch of work began: the last start or resume. Time spent waiting before it says nothing about the steps. */
export function stretchBegan(events: readonly RunEvent[]): number {
  return events.findLast((event) => event.event === 'started' || event.event === 'resumed')?.at_ms ?? 0;
}

/** Seconds left, from the mean time of the steps since `sinceMs` (checks and saves included); null before the third of them. */
export function secondsLeft(steps: StepColumns, nSteps: number | null, sinceMs = 0): number | null {
  const n = steps.step.length;
  const first = steps.at_ms.findIndex((at) => at >= sinceMs);
  if (!nSteps || first < 0 || n - first < 3) return null;
  const from = Math.max(first, n - 400);
  const [firstStep, lastStep] = [steps.step[from] as number, steps.step[n - 1] as number];
  const [firstMs, lastMs] = [steps.at_ms[from] as number, steps.at_ms[n - 1] as number];
  if (lastStep <= firstStep) return null;
  return Math.max(0, ((nSteps - lastStep) * (lastMs - firstMs)) / (lastStep - firstStep) / 1000);
}

/** Steps between checks as they were seen, to mark those to come; null before two checks. */
export function checkEvery(evaluations: readonly Evaluated[]): number | null {
  const steps = evaluations.map((one) => one.step).filter((step) => step > 0);
  return steps.length && steps[0] ? steps[0] : null;
}
