// Names of a hub are told from paths.
import { describe, expect, it } from 'vitest';
import { hubName } from './hub';

describe('names on a hub', () => {
  it('takes a name, with a revision where one is given', () => {
    expect(hubName(' birds/lorikeet-1 ')).toEqual({ model: 'birds/lorikeet-1' });
    expect(hubName('birds/lorikeet-1@v2')).toEqual({ model: 'birds/lorikeet-1', revision: 'v2' });
  });

  it('takes a pasted address', () => {
    expect(hubName('https://hub.example/birds/lorikeet')).toEqual({ model: 'birds/lorikeet' });
    expect(hubName('https://hub.example/birds/lorikeet/tree/main')).toEqual({ model: 'birds/lorikeet' });
    expect(hubName('https://hub.example/birds/lorikeet/blob/v2/q4/bird.gguf?download=true')).toEqual({ model: 'birds/lorikeet', revision: 'v2', file: 'q4/bird.gguf' });
  });

  it('leaves paths alone', () => {
    for (const path of ['/models/lorikeet', './models/lorikeet', '~/lorikeet', 'C:\\models\\lorikeet', 'lorikeet', 'a/b/c', '']) expect(hubName(path)).toBeNull();
  });
});
