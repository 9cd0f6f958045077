// Cards become sentences.
import { expect, it } from 'vitest';
import { cardWords } from './card';

const card = `---
license: mit
---

# Name

A small
model from [here](https://example.org).

## Figures

| a | b |
| --- | --- |
| 1 | 2 |

- one
- two

**What it is for**: to run \`this\`.

\`\`\`
code
\`\`\`

Third.

Fourth.
`;

it('keeps the first paragraphs of prose, without marks', () => {
  expect(cardWords(card)).toEqual(['A small model from here.', 'What it is for: to run this.', 'Third.']);
  expect(cardWords('# Only a title\n')).toEqual([]);
});
