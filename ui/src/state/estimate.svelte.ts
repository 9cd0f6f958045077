// What the run being prepared would cost; asked again, a moment after it changes. Also what each preset and each model would.
import type { ApiError, RunEstimate, RunRequest } from '../bindings';
import { asApiError, commands } from '../platform/host';
import { draftRequest } from './draft.svelte';
import { notify } from './notices.svelte';

type Answer = { key: string; estimate: RunEstimate | null; error: ApiError | null };

/** The draft without its name, which costs nothing. */
function priced(): RunRequest | null {
  const request = draftRequest();
  if (request) delete request.name;
  return request;
}

let main = $state<Answer | null>(null);
let wanted = $state<string | null>(null);
let side = $state<Record<string, RunEstimate>>({});
let timer: ReturnType<typeof setTimeout> | undefined;
const asking = new Set<string>();

export const estimates = {
  /** The latest answer, also while a newer one is awaited. */
  get current(): RunEstimate | null {
    return wanted === null ? null : (main?.estimate ?? null);
  },
  get error(): ApiError | null {
    return wanted !== null && main?.key === wanted ? main.error : null;
  },
  get busy(): boolean {
    return wanted !== null && main?.key !== wanted;
  },
  /** What a variant of the draft would cost, once it is known. */
  of(change: Partial<RunRequest>): RunEstimate | null {
    const request = priced();
    return request ? (side[JSON.stringify({ ...request, ...change })] ?? null) : null;
  },
};

/** Keeps the estimate up to date while a component lives; call it in an effect's root. */
export function watchEstimate(): void {
  $effect(() => {
    const request = priced();
    const key = request ? JSON.stringify(request) : null;
    wanted = key;
    clearTimeout(timer);
    if (!request || !key || main?.key === key) return;
    timer = setTimeout(() => void ask(request, key), main ? 180 : 0);
  });
}

async function ask(request: RunRequest, key: string): Promise<void> {
  let answer: Answer;
  try {
    answer = { key, estimate: await commands.run_estimate(request), error: null };
  } catch (thrown) {
    answer = { key, estimate: null, error: asApiError(thrown) };
  }
  if (wanted === key) main = answer;
}

/** Asks what variants of the draft would cost, one after the other. */
export async function wantVariants(changes: Partial<RunRequest>[]): Promise<void> {
  const request = priced();
  if (!request) return;
  for (const change of changes) {
    const variant = { ...request, ...change };
    const key = JSON.stringify(variant);
    if (side[key] || asking.has(key)) continue;
    asking.add(key);
    try {
      side[key] = await commands.run_estimate(variant);
    } catch {
      // A variant that cannot run shows no cost; choosing it says why.
    } finally {
      asking.delete(key);
    }
  }
}

/** Forgets everything: after a run, speeds were measured anew. */
export function forgetEstimates(): void {
  main = null;
  side = {};
}

/** Starts the run being prepared; answers its id, or null when it was refused. */
export async function startDraft(): Promise<string | null> {
  const request = draftRequest();
  if (!request) return null;
  try {
    const run = await commands.run_start(request);
    forgetEstimates();
    return run.id;
  } catch (thrown) {
    const error = asApiError(thrown);
    notify([error.message, error.hint].filter(Boolean).join('. '), true);
    return null;
  }
}
