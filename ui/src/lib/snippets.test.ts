// The snippets to copy ask what is served and are valid.

import { expect, it } from 'vitest';
import { coloured, snippet, type Language } from './snippets';

const LANGUAGES: Language[] = ['curl', 'python', 'javascript'];

it('asks the address and name that are served', () => {
  for (const language of LANGUAGES) {
    const chat = snippet(language, 'http://127.0.0.1:8384', 'support-7', 'adapter', 'Do you ship?');
    expect(chat).toContain('http://127.0.0.1:8384/v1');
    expect(chat).toContain('"support-7"');
    const sort = snippet(language, 'http://127.0.0.1:1', 'mood', 'classifier', 'Great film');
    expect(sort).toContain('http://127.0.0.1:1/predict');
    expect(sort).toContain('"Great film"');
  }
});

it('sends valid JSON with curl, apostrophes included', () => {
  const line = snippet('curl', 'http://a', 'm', 'base', "What's new?");
  const body = line.slice(line.indexOf("-d '") + 4, -1).replaceAll(String.raw`'\''`, "'");
  expect(JSON.parse(body)).toEqual({ model: 'm', messages: [{ role: 'user', content: "What's new?" }], stream: true });
});

it('loses nothing when coloured', () => {
  for (const language of LANGUAGES) {
    const code = snippet(language, 'http://a', 'm', 'base', 'x "y" z');
    const pieces = coloured(code);
    expect(pieces.map((piece) => piece.text).join('')).toBe(code);
    expect(pieces.some((piece) => piece.kind === 'string')).toBe(true);
    expect(pieces[0]?.kind).toBe('name');
  }
});
