// The command line shown for a run is one that a shell reads back to the same words.

import { expect, it } from 'vitest';
import { quoted, trainCommand } from './command-line';

it('quotes what a shell would split or expand', () => {
  expect(quoted('/data/a.jsonl')).toBe('/data/a.jsonl');
  expect(quoted('my file.jsonl')).toBe("'my file.jsonl'");
  expect(quoted("it's $HOME")).toBe(String.raw`'it'\''s $HOME'`);
});

it('writes every change as a flag', () => {
  const line = trainCommand(
    { model: 'starter', data: 'my replies', task: 'causal' },
    { learning_rate: 1e-4, target_modules: ['q_proj', 'v_proj'], alpha: null, rank: 32 },
  );
  expect(line).toBe("lorikeet train --model starter --data 'my replies' --task causal --learning-rate 0.0001 --target-modules q_proj,v_proj --rank 32");
});
