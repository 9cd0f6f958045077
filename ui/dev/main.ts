// The window's page in a plain browser, with made-up answers: for looking at screens only. See vite.look.config.ts.
import '../src/platform/locale';
import '@fontsource-variable/inter/opsz.css';
import '@fontsource-variable/jetbrains-mono/wght.css';
import '../src/style/tokens.css';
import '../src/style/base.css';
import '../src/style/controls.css';
import '../src/style/pieces.css';
import { mount } from 'svelte';
import App from '../src/App.svelte';
import { installHost } from '../src/platform/host';
import { madeUpHost } from './host';

installHost(madeUpHost(new URLSearchParams(location.search)));
const target = document.getElementById('app');
if (target) mount(App, { target });
