// Every system call with arguments nobody means well: whatever a guest passes, a call returns a number, waits or ends the
// process; it never throws, and it never takes long. Reproducible: the seed is printed when it fails.

import assert from 'node:assert/strict';
import test from 'node:test';
import type { Task } from '../../../src/kernel/process/task.ts';
import { ROWS } from '../../../src/kernel/syscalls/table.ts';
import { Kit } from './corekit.ts';

const SEED = Number(process.env['FUZZ_SEED'] ?? 1);
const ROUNDS = Number(process.env['FUZZ_ROUNDS'] ?? 25);
const CALL_MS_MAX = 3000;

/** A small deterministic generator: mulberry32. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = state + 0x6d2b79f5 | 0;
    let t = Math.imul(state ^ state >>> 15, 1 | state);
    t = t + Math.imul(t ^ t >>> 7, 61 | t) ^ t;
    return ((t ^ t >>> 14) >>> 0) / 4294967296;
  };
}

const NASTY: readonly bigint[] = [
  0n, 1n, 2n, 3n, 4n, 7n, 8n, 16n, 63n, 64n, 100n, 128n, 255n, 256n, 4095n, 4096n, 4097n, 65536n, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn,
  0x1_0000_0000n, 0x7fff_ffff_efffn, 0x7fff_ffff_f000n, 0x8000_0000_0000n, 1n << 53n, (1n << 53n) + 1n, 0x7fff_ffff_ffff_ffffn,
  0x8000_0000_0000_0000n, 0xffff_ffff_ffff_f000n, 0xffff_ffff_ffff_ff9cn, 0xffff_ffff_ffff_ffffn, 0xffff_ffff_ffff_fffen,
];

const PATHS = [
  '/etc/file', '/tmp/new', '/proc/self/maps', '/dev/null', '.', '', '/link', '/dir', 'a/b/c', '/dev/zero', '/proc/self/mem',
];

function newKit(random: () => number): { kit: Kit; pool: bigint[] } {
  const files = { 'etc/file': { data: 'contents' }, 'bin/x': { data: 'x', mode: 0o755 }, 'dir/sub/leaf': { data: '' }, link: { target: '/etc/file' } };
  const kit = new Kit(files, { diskBytesMax: 4 << 20, processesMax: 16 });
  const junk = new Uint8Array(4096).map(() => Math.floor(random() * 256));
  const pool = [...NASTY];
  for (const text of PATHS) pool.push(BigInt(kit.text(text)));
  pool.push(BigInt(kit.put(junk)), BigInt(kit.put(new Uint8Array(4096))), BigInt(kit.buffer), BigInt(kit.buffer + 4090), BigInt(kit.buffer + (1 << 20) - 3));
  pool.push(BigInt(kit.words(kit.buffer, 64, kit.buffer + 100, 5000, 0x10, 16)), BigInt(kit.words(0, 1000)), BigInt(kit.words(1, 0)));
  for (const path of ['/etc/file', '/dir', '/dev/null', '/dev/urandom']) kit.call('openat', -100, kit.text(path), path === '/etc/file' ? 2 : 0, 0);
  kit.call('pipe2', kit.buffer + 70000, 0o4000);
  kit.call('eventfd2', 1, 0o4000);
  kit.call('epoll_create1', 0);
  kit.call('socketpair', 1, 1, 0, kit.buffer + 70010);
  kit.call('timerfd_create', 1, 0);
  kit.call('memfd_create', kit.text('m'), 2);
  return { kit, pool };
}

/** Someone of the sandbox who can make a call now; null: all wait or are dead. */
function caller(kit: Kit): Task | null {
  for (const task of kit.kernel.tasks.values()) {
    kit.settle(task);
    if (task.state === 'runnable') return task;
  }
  return null;
}

test('no call throws or hangs', () => {
  const random = generator(SEED);
  let { kit, pool } = newKit(random);
  for (let round = 0; round < ROUNDS; round++) {
    for (const row of ROWS) {
      let task = caller(kit);
      if (!task || kit.kernel.endReason) {
        ({ kit, pool } = newKit(random));
        task = kit.task;
      }
      const args = row.args.map(() => pool[Math.floor(random() * pool.length)]);
      const what = `${row.name}(${args.map((value) => `0x${value.toString(16)}`).join(', ')}) round ${round} seed ${SEED}`;
      const startMs = performance.now();
      try {
        const result = kit.callAs(task, row.name, ...args);
        assert.ok(typeof result === 'string' || Number.isFinite(result), what);
      } catch (error) {
        throw new Error(what, { cause: error });
      }
      const took = performance.now() - startMs;
      assert.ok(took < CALL_MS_MAX, `${what} took ${took.toFixed(0)} ms`);
    }
    kit.advance(1e9);
  }
});
