// Finding things by some of their letters, for the palette and for lists.

export type Part = { text: string; hit: boolean };

/** How well all words of a query occur in a text; 0 for not at all. Beginnings of words count more. */
export function score(query: string, text: string): number {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const hay = text.toLowerCase();
  let total = 1;
  for (const word of words) {
    const at = hay.indexOf(word);
    if (at < 0) return 0;
    total += at === 0 ? 3 : /[^a-z0-9]/.test(hay[at - 1] ?? ' ') ? 2 : 1;
  }
  return total;
}

/** The text in parts, those that match the query marked. */
export function marked(query: string, text: string): Part[] {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const hit = new Array<boolean>(text.length).fill(false);
  for (const word of words) {
    const at = text.toLowerCase().indexOf(word);
    if (at >= 0) hit.fill(true, at, at + word.length);
  }
  const out: Part[] = [];
  for (let i = 0; i < text.length; i++) {
    const last = out.at(-1);
    if (last && last.hit === hit[i]) last.text += text[i];
    else out.push({ text: text[i] as string, hit: hit[i] as boolean });
  }
  return out;
}
