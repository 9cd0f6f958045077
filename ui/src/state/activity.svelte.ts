// What is alive: asked for every second, so that the sidebar and Home are never stale.
import type { Activity, ApiError } from '../bindings';
import { asApiError, commands } from '../platform/host';

let current = $state<Activity | null>(null);
let error = $state<ApiError | null>(null);
let timer: ReturnType<typeof setTimeout> | undefined;
let asking: Promise<void> | null = null;

export const activity = {
  get current(): Activity | null {
    return current;
  },
  /** Why nothing is known: the data folder cannot be opened, say. */
  get error(): ApiError | null {
    return error;
  },
};

/** Asks now; used after something was started or stopped. */
export function refreshActivity(): Promise<void> {
  asking ??= commands
    .app_activity()
    .then((answer) => {
      current = answer;
      error = null;
    })
    // The next second asks again.
    .catch((thrown: unknown) => {
      error = asApiError(thrown);
    })
    .finally(() => {
      asking = null;
    });
  return asking;
}

export function watchActivity(everyMs = 1000): () => void {
  const tick = async () => {
    await refreshActivity();
    timer = setTimeout(tick, document.hidden ? everyMs * 5 : everyMs);
  };
  void tick();
  return () => clearTimeout(timer);
}
