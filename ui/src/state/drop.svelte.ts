// Files dragged onto the window: whether some are over it, and what happens when they are let go.
import { asApiError, commands, onDrop } from '../platform/host';
import { fileName } from '../lib/format';
import { app } from '../text/en';
import { draft } from './draft.svelte';
import { importFile } from './import.svelte';
import { refreshModels } from './library.svelte';
import { notify } from './notices.svelte';
import { go, router } from './route.svelte';

let over = $state(false);

export const dropping = {
  get over(): boolean {
    return over;
  },
};

/** Takes a model folder for the run being prepared, under a name of its own if one is given; answers whether it could be used. */
export async function addModel(path: string, name?: string): Promise<boolean> {
  try {
    const model = await commands.model_add(name === undefined ? { path } : { path, name });
    draft.model = model.id;
    await refreshModels();
    return true;
  } catch (thrown) {
    const error = asApiError(thrown);
    notify([error.message, error.hint].filter(Boolean).join('. '), true);
    return false;
  }
}

async function take(path: string): Promise<void> {
  try {
    const info = await commands.path_inspect({ path });
    if (info.kind === 'model') {
      if (await addModel(info.path)) go(router.route.place === 'home' || router.route.place === 'start' ? router.route : { place: 'models' });
      return;
    }
    if (info.kind === 'adapter' || info.kind === 'missing') {
      notify(app.dropUnknown(fileName(path)), true);
      return;
    }
  } catch (thrown) {
    notify(asApiError(thrown).message, true);
    return;
  }
  if (router.route.place === 'data' || router.route.place === 'dataset') {
    const details = await importFile(path);
    go(details ? { place: 'dataset', id: details.id } : { place: 'start' });
    return;
  }
  if (router.route.place !== 'home' && router.route.place !== 'new-run') go({ place: 'start' });
  await importFile(path);
}

export function watchDrops(): () => void {
  return onDrop((drop) => {
    over = drop.phase === 'over';
    const path = drop.phase === 'dropped' ? drop.paths[0] : undefined;
    if (path) void take(path);
  });
}
