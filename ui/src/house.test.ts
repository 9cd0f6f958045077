// The rules of this folder that a reader would otherwise have to remember.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const ROOT = dirname(fileURLToPath(import.meta.url));
const files = (folder: string): string[] =>
  readdirSync(folder).flatMap((name) => {
    const path = join(folder, name);
    return statSync(path).isDirectory() ? files(path) : [path];
  });
const sources = files(ROOT).filter((path) => /\.(ts|svelte|css)$/.test(path)).map((path) => ({ path: relative(ROOT, path).replaceAll('\\', '/'), text: readFileSync(path, 'utf8') }));

/** What each folder may import from the others. */
const MAY: Record<string, string[]> = {
  lib: ['lib', 'text', ''],
  text: ['lib', 'text', ''],
  platform: ['platform', ''],
  state: ['lib', 'text', 'platform', 'state', ''],
  charts: ['lib', 'charts', 'state', ''],
  shared: ['lib', 'text', 'platform', 'state', 'shared', ''],
  domain: ['lib', 'text', 'platform', 'state', 'charts', 'shared', 'domain', ''],
  views: ['lib', 'text', 'platform', 'state', 'charts', 'shared', 'domain', 'views', ''],
};

it('lets folders import downwards only', () => {
  const wrong: string[] = [];
  for (const { path, text } of sources) {
    const folder = path.includes('/') ? (path.split('/')[0] ?? '') : '';
    const may = MAY[folder];
    if (!may) continue;
    for (const [, from = ''] of text.matchAll(/from '(\.[^']+)'/g)) {
      const target = relative(ROOT, resolve(ROOT, dirname(path), from)).replaceAll('\\', '/');
      const other = target.includes('/') ? (target.split('/')[0] ?? '') : '';
      if (!may.includes(other)) wrong.push(`${path} imports ${target}`);
    }
  }
  expect(wrong).toEqual([]);
});

it('has one door to the shell', () => {
  const wrong = sources.filter(({ path, text }) => text.includes(['@tauri', 'apps'].join('-')) && path !== 'platform/tauri.ts').map(({ path }) => path);
  expect(wrong).toEqual(['house.test.ts'].filter((path) => wrong.includes(path)));
});

it('keeps components short and files with a header', () => {
  for (const { path, text } of sources) {
    if (path.endsWith('.svelte')) expect(text.split('\n').length, path).toBeLessThanOrEqual(300);
    if (!path.endsWith('.test.ts')) expect(text.trimStart().slice(0, 4), path).toMatch(/^(\/\/|\/\*|<!--)/);
  }
});

it('names no raw colour outside the tokens', () => {
  const wrong = sources.filter(({ path, text }) => /\.(svelte|css)$/.test(path) && path !== 'style/tokens.css' && /#[0-9a-f]{3,8}\b/i.test(text.replaceAll(/\{#\w+/g, '').replaceAll(/href="#[^"]*"/g, ''))).map(({ path }) => path);
  expect(wrong).toEqual([]);
});

it('has a test beside every pure function', () => {
  const names = new Set(sources.map(({ path }) => path));
  const missing = [...names].filter((path) => path.startsWith('lib/') && !path.endsWith('.test.ts') && !names.has(path.replace('.ts', '.test.ts')));
  expect(missing).toEqual([]);
});
