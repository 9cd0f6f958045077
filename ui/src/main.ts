// Starts the window's page.
import './platform/locale';
import '@fontsource-variable/inter/opsz.css';
import '@fontsource-variable/jetbrains-mono/wght.css';
import './style/tokens.css';
import './style/base.css';
import './style/controls.css';
import './style/pieces.css';
import { mount } from 'svelte';
import App from './App.svelte';
import { installHost } from './platform/host';
import { tauriHost } from './platform/tauri';

installHost(tauriHost());

const target = document.getElementById('app');
// The faces come with the program: waiting a moment for them spares a jump of every line.
const faces = ['400 13px "Inter Variable"', '12px "JetBrains Mono Variable"'].map((face) => document.fonts.load(face));
void Promise.race([Promise.all(faces), new Promise((resolve) => setTimeout(resolve, 400))]).finally(() => {
  if (target) mount(App, { target });
});
