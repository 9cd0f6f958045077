// A host for tests: answers what a test gives it, and remembers what was asked.
import { installHost, type Drop, type Host } from './platform/host';

export type Asked = { name: string; request: unknown };

export function testHost(answers: Record<string, (request: never, onUpdate: (update: unknown) => void, signal?: AbortSignal) => unknown>) {
  const asked: Asked[] = [];
  let listener: (drop: Drop) => void = () => {};
  const answer = async (name: string, request: unknown, onUpdate: (update: unknown) => void, signal?: AbortSignal) => {
    asked.push({ name, request });
    const made = answers[name];
    if (!made) throw { code: 'not_found', message: `no such command: \`${name}\``, hint: null, details: null };
    return made(request as never, onUpdate, signal);
  };
  const host: Host = {
    call: (name, request) => answer(name, request, () => {}),
    stream: answer,
    onDrop: (listen) => {
      listener = listen;
      return () => {};
    },
    chooseFile: async () => null,
    chooseFolder: async () => null,
  };
  installHost(host);
  return { asked, drop: (drop: Drop) => listener(drop) };
}
