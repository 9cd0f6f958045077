// A model's name on a hub, told from a path on this computer.
import type { ModelGetRequest } from '../bindings';

const NAME = /^([\w.-]+\/[\w.-]+)(?:@([\w./-]+))?$/;
const PAGE = /^https?:\/\/[^/]+\/([\w.-]+\/[\w.-]+)(?:\/(?:tree|blob|resolve)\/([^/?#]+)(?:\/([^?#]+\.gguf))?)?\/?(?:[?#].*)?$/;

/** What a person wrote or pasted, as a request; null where it is no name of a hub: those have one slash and start with neither a dot nor a tilde. */
export function hubName(text: string): ModelGetRequest | null {
  const words = text.trim();
  const page = PAGE.exec(words);
  const found = page ?? (/^[.~/\\]/.test(words) ? null : NAME.exec(words));
  const [, model, revision, file] = found ?? [];
  if (!model) return null;
  return { model, ...(revision && revision !== 'main' ? { revision } : {}), ...(file ? { file } : {}) };
}
