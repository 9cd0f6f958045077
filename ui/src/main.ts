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
if (target) mount(App, { target });
