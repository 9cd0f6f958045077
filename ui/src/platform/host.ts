// The only door to the host: commands, streams, files dropped on the window, choosers, the clipboard.
// The host is given once, when the page starts; everything else imports from here and knows no shell.
import { commandsOver, streamsOver, type ApiError, type Call, type Stream } from '../bindings';

export type Drop = { phase: 'over' } | { phase: 'left' } | { phase: 'dropped'; paths: string[] };

export interface Host {
  call: Call;
  stream: Stream;
  /** Files dragged over the window; returns how to stop listening. */
  onDrop(listen: (drop: Drop) => void): () => void;
  /** The system's chooser; null when it was closed. */
  chooseFile(title: string): Promise<string | null>;
  chooseFolder(title: string): Promise<string | null>;
}

let host: Host | null = null;

export function installHost(given: Host): void {
  host = given;
}

function current(): Host {
  if (!host) throw new Error('no host is installed');
  return host;
}

export const commands = commandsOver((name, request) => current().call(name, request));
export const streams = streamsOver((name, request, onUpdate, signal) => current().stream(name, request, onUpdate, signal));
export const onDrop = (listen: (drop: Drop) => void) => current().onDrop(listen);
export const chooseFile = (title: string) => current().chooseFile(title);
export const chooseFolder = (title: string) => current().chooseFolder(title);

export async function copyText(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch (thrown) {
    // Webviews that keep the clipboard from pages still copy what is selected.
    const area = document.createElement('textarea');
    area.value = text;
    document.body.append(area);
    area.select();
    const done = document.execCommand('copy');
    area.remove();
    if (!done) throw thrown;
  }
}

/** Whatever was thrown, as an error of the contract. */
export function asApiError(thrown: unknown): ApiError {
  if (thrown && typeof thrown === 'object' && 'code' in thrown && 'message' in thrown) {
    const { code, message, hint = null, details = null } = thrown as ApiError;
    return { code, message, hint, details };
  }
  return { code: 'internal', message: thrown instanceof Error ? thrown.message : String(thrown), hint: null, details: null };
}
