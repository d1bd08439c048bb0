// What is computed of our own memory for a sandbox (kernel/kernelmemory.ts) against what V8's heap and its buffers really grow by, for each
// kind of thing that a guest can make us keep: within a factor of two. OFFSHOOT_MEASURE=1 prints both.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { packDirectory } from '../../src/image/images.ts';
import type { Image } from '../../src/image/store.ts';
import { kernelMemory } from '../../src/kernel/kernelmemory.ts';
import { bootImage, type Booted } from './harness.ts';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

/** How many of each. */
const KINDS: Readonly<Record<string, number>> = {
  names: 10_000, longNames: 10_000, deepNames: 5000, tree: 10_000, links: 5000, find: 8000, removed: 8000, xattrs: 5000, locks: 4000, lockedOnce: 20_000,
  maps: 60_000, fileMaps: 10_000, hidden: 40_000, sparseFile: 8000, sparseShared: 8000,
  pipes: 2000, fullPipes: 200, eventfds: 4000, openFiles: 4000, epolls: 4000, timerfds: 4000, sockets: 3000, messages: 50_000, readMessages: 100,
  watches: 30_000, polling: 100, inotifyWatches: 8000, inotifyEvents: 60_000,
  threads: 1000, processes: 1000, descriptors: 500, arguments: 1000, signals: 100_000, posixTimers: 20_000,
};
/** What is kept of things that are gone is little, whatever the factor. */
const SLACK_BYTES = 300_000;

let directory = '', image: Image;
before(async () => {
  directory = mkdtempSync(join(tmpdir(), 'offshoot-kernelmemory-'));
  for (const name of ['bin', 'tmp', 'dev', 'proc', 'sys', 'many']) mkdirSync(join(directory, 'root', name), { recursive: true });
  const source = fileURLToPath(new URL('kernelmemoryguest.c', import.meta.url));
  execFileSync('gcc', ['-std=gnu11', '-O1', '-s', '-w', '-static', '-pthread', '-o', join(directory, 'root/bin/guest'), source]);
  for (let i = 0; i < 8000; i++) writeFileSync(join(directory, 'root/many', String(i).padStart(5, '0')), '');
  image = await packDirectory(join(directory, 'root'), { home: join(directory, 'home') });
});
after(() => rmSync(directory, { recursive: true, force: true }));

/** Until nothing can run. */
function settle({ kernel, out }: Booted): void {
  for (;;) {
    const state = kernel.runSlice(100_000_000);
    if (state.kind === 'exited') assert.fail(`${JSON.stringify(state.reason)}: ${out.stdout}`);
    if (state.kind === 'blocked' && (state.wakeAtNs === Infinity || state.wakeAtNs - kernel.clock.monotonicNs() > 100e9)) return;
  }
}

function heapBytes(): number {
  gc();
  gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

for (const [kind, count] of Object.entries(KINDS)) {
  test(kind, () => {
    const booted = bootImage(image, { limits: { processesMax: 4096, diskBytesMax: 2 ** 40, kernelMemoryMax: Infinity } });
    try {
      const { kernel, out } = booted;
      assert.equal(typeof kernel.spawn('/bin/guest', ['guest', kind, String(count)], []), 'object');
      settle(booted);
      const before = { heap: heapBytes(), computed: kernelMemory(kernel) };
      kernel.streams.stdin.push(Buffer.from('x'));
      settle(booted);
      assert.equal(out.stdout, 'made\n');
      const computed = kernelMemory(kernel) - before.computed, heap = Math.max(0, heapBytes() - before.heap);
      if (process.env['OFFSHOOT_MEASURE']) {
        const [ratio, each] = [computed / heap, heap / count];
        process.stderr.write(`${kind.padEnd(15)} ${count} computed ${computed} heap ${heap} ${ratio.toFixed(2)}; one ${each.toFixed(0)}\n`);
      }
      assert.ok(computed < 2 * heap + SLACK_BYTES && heap < 2 * computed + SLACK_BYTES, `computed ${computed}, the heap grew by ${heap}`);
    } finally {
      booted.destroy();
    }
  });
}
