// The same run as a line for the terminal.
import type { RunRequest, SettingValue } from '../bindings';

/** A word as a shell takes it. */
export function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}

/** `lorikeet train …` for a request; `settings` are all that differ from the defaults, the preset's included. */
export function trainCommand(request: RunRequest, settings: Record<string, SettingValue>): string {
  const words = ['lorikeet', 'train', '--model', quoted(request.model), '--data', quoted(request.data)];
  const add = (flag: string, value: string | undefined | null) => {
    if (value) words.push(`--${flag}`, quoted(value));
  };
  add('validation', request.validation);
  add('task', request.task);
  add('method', request.method);
  for (const [name, value] of Object.entries(settings)) {
    const flag = name.replaceAll('_', '-');
    if (value === null) continue;
    add(flag, Array.isArray(value) ? value.join(',') : String(value));
  }
  return words.join(' ');
}
