// The log of a run: its events, and the latest of its steps between them, in order.
import type { RunEvent } from '../bindings';
import type { Trace } from './trace';

export type LogLine = { key: string; atMs: number } & ({ event: RunEvent } | { step: number; index: number });

/** The last `most` lines. Steps are thinned to what a person can read: the latest ones, and those around an event. */
export function logLines(trace: Trace, onlyChecks: boolean, most = 200): LogLine[] {
  const events: LogLine[] = trace.events.slice(-most).map((event) => ({ key: `e${event.seq}`, atMs: event.at_ms, event }));
  if (onlyChecks) return events;
  const n = trace.steps.step.length;
  const steps: LogLine[] = [];
  for (let i = Math.max(0, n - most); i < n; i++) {
    steps.push({ key: `s${trace.steps.step[i]}`, atMs: trace.steps.at_ms[i] as number, step: trace.steps.step[i] as number, index: i });
  }
  // Steps come before the checks and saves that follow from them.
  return [...steps, ...events].sort((a, b) => a.atMs - b.atMs || ('event' in a ? 1 : 0) - ('event' in b ? 1 : 0)).slice(-most);
}
