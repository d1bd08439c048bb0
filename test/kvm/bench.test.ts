// Benchmarks measure what they say, whatever the numbers are: `offshoot bench syscall`, small.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import test from 'node:test';
import { offshoot } from './clihelp.ts';

const cannotBuild = spawnSync('gcc', ['--version']).status === 0 ? false : 'gcc is missing';

interface Row { readonly name: string; readonly unit: string; readonly n: number; readonly p50: number }

test('bench syscall: a row for each kind of call, and how many calls it is', { skip: cannotBuild }, async () => {
  const { stdout, stderr, code } = await offshoot(['bench', 'syscall', '-n', '2', '--json']);
  assert.equal(code, 0, stderr);
  const { bench, rows } = JSON.parse(stdout.toString()) as { bench: string; rows: Row[] };
  assert.equal(bench, 'syscall');
  const byName = new Map(rows.map((row) => [row.name, row]));
  assert.ok((byName.get('trap')?.p50 ?? 0) > 0);
  for (const name of ['getpid', 'read.1B', 'write.1B', 'read.64KiB', 'write.64KiB', 'stat.deep']) {
    assert.equal(byName.get(name)?.n, 2);
    assert.equal(byName.get(`${name}.calls`)?.p50, 1);
  }
  assert.equal(byName.get('pipe.pingpong.calls')?.p50, 4);
  assert.equal(byName.get('mmap.touch.munmap.calls')?.p50, 2);
  assert.ok((byName.get('fork.exec.wait.calls')?.p50 ?? 0) > 10);
});
