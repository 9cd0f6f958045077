// The host as the desktop shell offers it: two commands and a channel, native drops, native choosers.
import { Channel, invoke } from '@tauri-apps/api/core';
import { getCurrentWebview } from '@tauri-apps/api/webview';
import { open } from '@tauri-apps/plugin-dialog';
import type { Drop, Host } from './host';

let lastStream = 0;

export function tauriHost(): Host {
  return {
    call: (name, request) => invoke('call', { name, request }),
    stream: async (name, request, onUpdate, signal) => {
      // Numbers start anew with every page, so the shell forgets the streams of the page before at its start.
      const id = ++lastStream;
      const channel = new Channel<unknown>();
      const stop = () => void invoke('stream_stop', { id });
      channel.onmessage = (update) => {
        if (!signal?.aborted) onUpdate(update);
        // The first word may have come before the stream began: say it again while updates still arrive.
        else stop();
      };
      signal?.addEventListener('abort', stop, { once: true });
      try {
        return await invoke('stream', { id, name, request, channel });
      } finally {
        signal?.removeEventListener('abort', stop);
      }
    },
    onDrop: (listen: (drop: Drop) => void) => {
      const stopping = getCurrentWebview().onDragDropEvent(({ payload }) => {
        if (payload.type === 'enter') listen({ phase: 'over' });
        else if (payload.type === 'leave') listen({ phase: 'left' });
        else if (payload.type === 'drop') listen({ phase: 'dropped', paths: payload.paths });
      });
      return () => void stopping.then((stop) => stop());
    },
    chooseFile: (title) => open({ title, multiple: false, directory: false }),
    chooseFolder: (title) => open({ title, multiple: false, directory: true }),
  };
}
