// Tokens of a row, put together into turns to look at.
import type { PreviewToken } from '../bindings';

export type Turn = { role: string | null; tokens: { token: PreviewToken; index: number }[] };

/** Runs of tokens with one role. Tokens without a role (a lone line break between turns) go to the turn before. */
export function turns(tokens: readonly PreviewToken[]): Turn[] {
  const out: Turn[] = [];
  tokens.forEach((token, index) => {
    const last = out.at(-1);
    const joins = last && (token.role === last.role || (token.role === null && token.text.trim() === ''));
    if (joins) last.tokens.push({ token, index });
    else out.push({ role: token.role, tokens: [{ token, index }] });
  });
  return out;
}

/** A token's text with its invisible parts made visible, for a tooltip. */
export function visible(text: string): string {
  return text.replaceAll(' ', '·').replaceAll('\n', '↵').replaceAll('\t', '→');
}
