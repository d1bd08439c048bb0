// The client is for browsers, Bun and Deno too: nothing of Node is imported or taken for granted, and nothing is loaded but the client.

import assert from 'node:assert/strict';
import { resolve } from 'node:path';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';
import { build } from 'esbuild';

const ENTRY = resolve(import.meta.dirname, '../../src/client/index.ts');

test('it imports nothing but itself', async () => {
  const { metafile } = await build({ entryPoints: [ENTRY], bundle: true, platform: 'browser', format: 'esm', write: false, metafile: true });
  const foreign = Object.keys(metafile.inputs).filter((path) => !/(^|\/)src\/client\/[\w]+\.ts$/.test(path));
  assert.deepEqual(foreign, []);
});

test('it runs with what browsers have, and with nothing else', async () => {
  const { outputFiles: [{ text }] } = await build({
    entryPoints: [ENTRY], bundle: true, platform: 'browser', format: 'iife', globalName: 'client', write: false,
  });
  const sent: [string, string | undefined][] = [];
  const answers = ['{"stdout":"1\\n","ended":"exit"}', '{"type":"stdout","text":"2"}\n{"type":"result","result":{"ended":"exit"}}\n'];
  const globals = {
    URL, Response, ReadableStream, TextDecoder, TextEncoder, AbortController, AbortSignal, Uint8Array, atob, btoa, setTimeout, clearTimeout, Symbol,
    fetch: async (url: URL, { method }: RequestInit = {}) => {
      sent.push([url.href, method]);
      return new Response(answers.shift());
    },
  };
  const done = runInNewContext(`${text}
    (async () => {
      const there = new client.Offshoot({ url: 'https://there.example/' });
      const events = [];
      const { stdout } = await there.run('print(1)');
      for await (const event of there.stream({ code: '2' })) events.push(event.type);
      return stdout + events.join();
    })()`, globals) as Promise<string>;
  assert.equal(await done, '1\nstdout,result');
  assert.deepEqual(sent, [['https://there.example/v1/exec', 'POST'], ['https://there.example/v1/exec', 'POST']]);
});
