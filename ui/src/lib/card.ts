// A model's card as a few sentences: what stands beside tables, lists and code, without its marks.

/** The first paragraphs of prose in a Markdown text. */
export function cardWords(markdown: string, paragraphs = 3): string[] {
  const prose = /^(?!\s*(#|\||[-*+]\s|\d+\.\s|>|<|---))/;
  return markdown
    .replace(/^---\n[\s\S]*?\n---\n/, '')
    .replace(/^```[\s\S]*?^```/gm, '')
    .split(/\n\s*\n/)
    .map((block) => block.trim())
    .filter((block) => block !== '' && prose.test(block))
    .slice(0, paragraphs)
    .map((block) => block.replace(/\s*\n\s*/g, ' ').replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/\*\*|__|`/g, ''));
}
