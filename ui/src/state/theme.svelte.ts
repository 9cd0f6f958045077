// Light or dark: as the system is set, unless the user chose. The choice is kept by the host, in the data folder.
import type { Theme } from '../bindings';
import { asApiError, commands } from '../platform/host';
import { notify } from './notices.svelte';

const dark = matchMedia('(prefers-color-scheme: dark)');
let chosen = $state<Theme>('system');
let systemDark = $state(dark.matches);
dark.addEventListener('change', () => {
  systemDark = dark.matches;
  paint();
});

export const theme = {
  get chosen(): Theme {
    return chosen;
  },
  /** What is shown: charts draw again when it changes. */
  get shown(): 'light' | 'dark' {
    return chosen === 'system' ? (systemDark ? 'dark' : 'light') : chosen;
  },
};

function paint(): void {
  document.documentElement.dataset['theme'] = theme.shown;
}

export async function loadTheme(): Promise<void> {
  paint();
  try {
    chosen = (await commands.app_preferences()).theme;
  } catch (thrown) {
    notify(asApiError(thrown).message, true);
  }
  paint();
}

export async function chooseTheme(next: Theme): Promise<void> {
  chosen = next;
  paint();
  try {
    await commands.app_set_preferences({ theme: next });
  } catch (thrown) {
    notify(asApiError(thrown).message, true);
  }
}
