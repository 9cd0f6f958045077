// Commands reach the installed host, and whatever it throws becomes an error of the contract.

import { expect, it } from 'vitest';
import { asApiError, commands, installHost, streams, type Host } from './host';

it('hands commands and streams to the installed host', async () => {
  const seen: unknown[] = [];
  const host: Host = {
    call: async (name, request) => (seen.push([name, request]), { theme: 'dark' }),
    stream: async (name, request, onUpdate) => (seen.push([name, request]), onUpdate({ unit: 'rows', done: 1, total: 2 }), { n: 2 }),
    onDrop: () => () => {},
    chooseFile: async () => null,
    chooseFolder: async () => null,
  };
  installHost(host);
  expect(await commands.app_set_preferences({ theme: 'dark' })).toEqual({ theme: 'dark' });
  const updates: unknown[] = [];
  await streams.evaluate({ model: 'm', data: 'd' }, (update) => updates.push(update));
  expect(updates).toEqual([{ unit: 'rows', done: 1, total: 2 }]);
  expect(seen).toEqual([['app_set_preferences', { theme: 'dark' }], ['evaluate', { model: 'm', data: 'd' }]]);
});

it('makes an error of the contract of whatever was thrown', () => {
  expect(asApiError({ code: 'disk_full', message: 'full', hint: 'free some', details: null }).code).toBe('disk_full');
  expect(asApiError(new Error('no')).message).toBe('no');
  expect(asApiError('odd')).toEqual({ code: 'internal', message: 'odd', hint: null, details: null });
});
