// Everything the palette can do, as things are now.
import type { RunSummary, Theme } from '../bindings';
import { group, measure, percent } from '../lib/format';
import type { Offer } from '../lib/palette';
import type { Route } from '../lib/route';
import { asApiError, chooseFile, chooseFolder, commands } from '../platform/host';
import { app, home, palette as text, rows, settings, status } from '../text/en';
import { activity, refreshActivity } from './activity.svelte';
import { draft } from './draft.svelte';
import { addModel } from './drop.svelte';
import { importFile } from './import.svelte';
import { library } from './library.svelte';
import { notify } from './notices.svelte';
import { go } from './route.svelte';
import { chooseTheme, theme } from './theme.svelte';

export type Action = Offer & { run: () => void };

async function quietly(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
    await refreshActivity();
  } catch (thrown) {
    notify(asApiError(thrown).message, true);
  }
}

export function offers(runs: readonly RunSummary[]): Action[] {
  return [...steering(), ...doing(), ...runs.map(ofRun), ...things(), ...places()];
}

function steering(): Action[] {
  const run = activity.current?.running;
  if (!run) return [];
  const request = { id: run.id };
  const out: Action[] = [];
  if (run.status === 'running') {
    out.push({ id: 'pause', group: 'do', label: text.pause(run.name), beside: text.pauseWhy, run: () => void quietly(() => commands.run_pause(request)) });
    out.push({ id: 'checkpoint', group: 'do', label: text.checkpoint(run.name), run: () => void quietly(() => commands.run_checkpoint(request)) });
  } else {
    out.push({ id: 'resume', group: 'do', label: text.resume(run.name), run: () => void quietly(() => commands.run_resume(request)) });
  }
  return out;
}

function doing(): Action[] {
  const out: Action[] = [
    { id: 'new-run', group: 'do', label: text.newRun, key: 'Ctrl N', run: () => go({ place: 'new-run' }) },
    { id: 'add-data', group: 'do', label: text.add, run: () => void addExamples() },
    { id: 'add-model', group: 'do', label: text.addModel, run: () => void quietly(async () => { const folder = await chooseFolder(home.folderTitle); if (folder && (await addModel(folder))) go({ place: 'models' }); }) },
  ];
  if (activity.current?.serving) out.push({ id: 'serve-off', group: 'do', label: text.serveOff, run: () => void quietly(() => commands.serve_stop()) });
  for (const one of ['system', 'light', 'dark'] as Theme[]) {
    if (one !== theme.chosen) out.push({ id: `theme-${one}`, group: 'do', label: text.theme(settings.themes[one]), run: () => void chooseTheme(one) });
  }
  return out;
}

async function addExamples(): Promise<void> {
  await quietly(async () => {
    const path = await chooseFile(home.chooseTitle);
    if (!path) return;
    go({ place: 'start' });
    await importFile(path);
  });
}

function ofRun(run: RunSummary): Action {
  const share = run.n_steps ? run.step / run.n_steps : 0;
  const right = run.status === 'running' ? text.training(percent(share, 0)) : run.accuracy !== null ? percent(run.accuracy) : run.best_loss !== null ? text.loss(measure(run.best_loss)) : status[run.status];
  return { id: `run-${run.id}`, group: 'runs', label: run.name, right, run: () => go({ place: 'run', id: run.id }) };
}

function things(): Action[] {
  const sets = (library.datasets ?? []).flatMap((set): Action[] => [
    { id: `data-${set.id}`, group: 'data', label: set.name, right: rows(set.n_rows, set.kind), run: () => go({ place: 'dataset', id: set.id }) },
    { id: `train-${set.id}`, group: 'do', label: text.trainOn(set.name), run: () => { draft.data = set.id; go({ place: 'new-run' }); } },
  ]);
  const models = (library.models ?? []).map((model): Action => ({ id: `model-${model.id}`, group: 'models', label: model.name, right: home.parameters(group(model.n_parameters)), run: () => go({ place: 'models' }) }));
  return [...sets, ...models];
}

function places(): Action[] {
  const routes: [keyof typeof app.places, Route][] = [
    ['home', { place: 'home' }], ['data', { place: 'data' }], ['models', { place: 'models' }], ['runs', { place: 'runs' }],
    ['try', { place: 'try', run: null }], ['serve', { place: 'serve', run: null }], ['settings', { place: 'settings' }],
  ];
  return routes.map(([name, route]) => ({ id: `go-${name}`, group: 'go', label: app.places[name], run: () => go(route) }));
}
