// Forks are not twins: what should be unique to a run is.

import assert from 'node:assert/strict';
import test from 'node:test';
import { SLOW, py, text } from './enginehelp.ts';

const FORKS = SLOW > 1 ? 40 : 200;

test(`${FORKS} forks share no random number, uuid, boot id or pid`, async () => {
  const code = `
import random, uuid, secrets, ssl, os
import numpy as np
boot_id = open('/proc/sys/kernel/random/boot_id').read().strip()
print(random.random(), float(np.random.rand()), uuid.uuid4(), secrets.token_hex(8), ssl.RAND_bytes(8).hex(), boot_id, os.getpid())
`;
  const columns: Set<string>[] = Array.from({ length: 7 }, () => new Set());
  for (let i = 0; i < FORKS; i++) {
    const result = await py(code);
    const fields = text(result).trim().split(' ');
    assert.equal(fields.length, 7, result.stderr.toString());
    columns.forEach((seen, column) => seen.add(fields[column]));
  }
  assert.deepEqual(columns.map((seen) => seen.size), Array(7).fill(FORKS));
});

test('the key of random is new as a whole and used up; a fork inside has one of its own', async () => {
  const code = `
import os, random
key = random.getstate()[1]
print(key[-1], len(set(key[:-1])), random.gauss_next if hasattr(random, 'gauss_next') else random._inst.gauss_next, hash(key), flush=True)
if os.fork() == 0:
    print(random.random())
    os._exit(0)
os.wait()
print(random.random())
`;
  const keys = new Set<string>();
  for (let i = 0; i < 20; i++) {
    const [first, child, parent] = text(await py(code)).split('\n');
    const [index, different, gauss, hash] = first.split(' ');
    assert.deepEqual([index, gauss, Number(different) > 600], ['624', 'None', true]);
    assert.notEqual(child, parent);
    keys.add(hash);
  }
  assert.equal(keys.size, 20);
});

test('the pid is a child\'s: different from the parent, consistent inside', async () => {
  const result = await py(`import os, threading
me = os.getpid()
print(me == threading.get_native_id(), os.getppid() != me, int(os.readlink("/proc/self")) == me)`);
  assert.equal(text(result), 'True True True\n');
});

test('time is the host\'s', async () => {
  const result = await py('import time; print(time.time())');
  assert.ok(Math.abs(Number(text(result)) - Date.now() / 1000) < 5);
});

test('one sandbox\'s memory and files are not another\'s', async () => {
  await py('open("/tmp/mark", "w").write("x"); import sys; sys.mark = 1');
  assert.equal(text(await py('import os, sys; print(os.path.exists("/tmp/mark"), hasattr(sys, "mark"))')), 'False False\n');
});
