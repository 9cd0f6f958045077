// Shows the page in a plain browser with made-up answers (`npm run look`), for looking at screens while they are drawn.
// Never part of the product: the product's build starts at index.html and imports nothing from dev/.
import { resolve } from 'node:path';
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';

export default defineConfig({
  root: resolve(import.meta.dirname, 'dev'),
  plugins: [svelte({ configFile: resolve(import.meta.dirname, 'svelte.config.js') })],
  clearScreen: false,
  server: { port: 5174, strictPort: true, fs: { allow: [resolve(import.meta.dirname)] } },
  build: { target: 'safari16', outDir: resolve(import.meta.dirname, 'node_modules/.look'), emptyOutDir: true },
});
