// /proc and /sys: formats, links, what is counted, what forks differ in.

import assert from 'node:assert/strict';
import test from 'node:test';
import { EACCES, ENOENT, ESRCH } from '../../../src/abi/linux/errno.ts';
import { lookupAt } from '../../../src/kernel/fs/path.ts';
import { TextInode, type TextFile } from '../../../src/kernel/fs/pseudo.ts';
import type { Task } from '../../../src/kernel/process/task.ts';
import { Kit } from './fskit.ts';

const AT_FDCWD = -100, AT_SYMLINK_NOFOLLOW = 0x100, O_WRONLY = 1;

function readlink(kit: Kit, path: string): string | number {
  const at = lookupAt(kit.task, AT_FDCWD, path, AT_SYMLINK_NOFOLLOW);
  return typeof at === 'number' ? at : at.inode.readlink(kit.task);
}

function list(kit: Kit, path: string): string[] {
  const at = lookupAt(kit.task, AT_FDCWD, path, 0);
  if (typeof at === 'number') throw new Error(`${path}: ${at}`);
  const names: string[] = [];
  for (let cookie = 0; ;) {
    const entries = at.inode.readdir(cookie, 3, kit.task);
    if (typeof entries === 'number') throw new Error(`${path}: ${entries}`);
    if (entries.length === 0) return names;
    for (const entry of entries) {
      names.push(entry.name);
      cookie = entry.cookie;
    }
  }
}

test('stat has 52 fields, status the lines programs look for', () => {
  const kit = new Kit();
  const fields = kit.cat('/proc/2/stat').trimEnd().split(' ');
  assert.equal(fields.length, 52);
  assert.deepEqual(fields.slice(0, 4), ['2', '(task2)', 'R', '1']);
  const status = kit.cat('/proc/2/status');
  for (const line of ['Name:\ttask2', 'State:\tR (running)', 'Tgid:\t2', 'Pid:\t2', 'PPid:\t1', 'Uid:\t0\t0\t0\t0', 'Threads:\t1']) {
    assert.ok(status.includes(`${line}\n`), line);
  }
  assert.match(status, /^VmRSS:\t +\d+ kB$/m);
  assert.match(status, /^SigCgt:\t[0-9a-f]{16}$/m);
});

test('self, thread-self and the links of a process', () => {
  const kit = new Kit();
  assert.equal(readlink(kit, '/proc/self'), '2');
  assert.equal(readlink(kit, '/proc/thread-self'), '2/task/2');
  assert.equal(kit.cat('/proc/self/comm'), 'task3\n');
  assert.equal(readlink(kit, '/proc/2/cwd'), '/');
  const [r] = kit.pipe();
  assert.match(readlink(kit, `/proc/2/fd/${r}`) as string, /^pipe:\[\d+\]$/);
  assert.deepEqual(list(kit, '/proc/2/fd'), ['0', '1']);
  assert.deepEqual(list(kit, '/proc/2/task'), ['2']);
  assert.equal(readlink(kit, '/proc/2/exe'), -ENOENT);
  assert.equal(readlink(kit, '/proc/2/fd/17'), -ENOENT);
});

test('a pipe end is opened again through /proc/self/fd', () => {
  const kit = new Kit();
  const [r, w] = kit.pipe();
  const again = kit.open(`/proc/self/fd/${w}`, O_WRONLY);
  assert.equal(kit.write(again, 'hi'), 2);
  assert.equal(kit.read(r), 'hi');
  assert.match(readlink(kit, `/proc/2/fd/${again}`) as string, /^pipe:/);
});

test('a file of a process that ended says ESRCH, a zombie shows no memory', () => {
  const kit = new Kit();
  const victim = kit.newTask(9);
  const fd = kit.open('/proc/9/stat');
  victim.process.exitStatus = 0;
  assert.ok((kit.read(fd) as string).includes(' Z '));
  assert.equal(kit.cat('/proc/9/cmdline'), '');
  assert.equal(kit.cat('/proc/9/maps'), '');
  kit.kernel.processes.delete(9);
  kit.call('lseek', fd, 0, 0);
  assert.equal(kit.read(fd), -ESRCH);
  assert.equal(kit.open('/proc/9/stat'), -ENOENT);
});

test('cmdline and environ come from the process; comm can be set', () => {
  const kit = new Kit();
  kit.task.process.argv = ['python3', '-c', 'x'];
  kit.task.process.envp = ['A=1'];
  assert.equal(kit.cat('/proc/2/cmdline'), 'python3\0-c\0x\0');
  assert.equal(kit.cat('/proc/2/environ'), 'A=1\0');
  const fd = kit.open('/proc/self/comm', O_WRONLY);
  assert.equal(kit.write(fd, 'renamed-to-something-long'), 25);
  assert.equal(kit.helper.comm, 'renamed-to-some');
});

test('another user cannot read maps', () => {
  const kit = new Kit();
  const other = kit.newTask(9, null, 1000);
  const at = lookupAt(kit.task, AT_FDCWD, '/proc/2/maps', 0);
  assert.ok(typeof at !== 'number');
  const file = at.inode.open(0, other);
  assert.ok(typeof file !== 'number' && !('queues' in file));
  assert.equal(file.read(other, new Uint8Array(10)), -EACCES);
});

test('system files and sysctls', () => {
  const kit = new Kit();
  assert.match(kit.cat('/proc/meminfo'), /^MemTotal: +\d+ kB\nMemFree: +\d+ kB\nMemAvailable: +\d+ kB\n/);
  assert.equal(kit.cat('/proc/cpuinfo').match(/^processor\t: /gm)?.length, 1);
  assert.match(kit.cat('/proc/stat'), /^cpu {2}\d+ 0 0 \d+ 0 0 0 0 0 0\ncpu0 /);
  assert.match(kit.cat('/proc/uptime'), /^\d+\.\d\d \d+\.\d\d\n$/);
  assert.match(kit.cat('/proc/mounts'), /^overlay \/ overlay rw,relatime 0 0\nproc \/proc proc /);
  assert.match(kit.cat('/proc/self/mountinfo'), /^1 0 0:27 \/ \/ rw,relatime - overlay overlay rw\n/);
  assert.equal(kit.cat('/proc/sys/kernel/osrelease'), '6.1.0-offshoot\n');
  assert.equal(kit.cat('/proc/self/limits').split('\n')[0],
    'Limit                     Soft Limit           Hard Limit           Units     ');
  assert.equal(kit.cat('/sys/devices/system/cpu/online'), '0\n');
  assert.equal(kit.cat('/sys/kernel/mm/transparent_hugepage/hpage_pmd_size'), '2097152\n');
});

test('boot_id stays within a sandbox and differs between sandboxes, uuid differs each time', () => {
  const [a, b] = [new Kit(), new Kit()];
  b.host.random(new Uint8Array(3));
  const path = '/proc/sys/kernel/random/boot_id';
  assert.match(a.cat(path), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\n$/);
  assert.equal(a.cat(path), a.cat(path));
  assert.notEqual(a.cat(path), b.cat(path));
  assert.notEqual(a.cat('/proc/sys/kernel/random/uuid'), a.cat('/proc/sys/kernel/random/uuid'));
});

test('missing paths are counted, processes that are not there are no missing feature', () => {
  const kit = new Kit();
  for (const path of ['/proc/nothing', '/proc/2/nothing', '/proc/sys/vm/nothing', '/proc/4711/stat', '/sys/fs/nothing']) {
    assert.equal(kit.open(path), -ENOENT);
  }
  assert.deepEqual([...kit.kernel.unimplemented.keys()], ['/proc/nothing', '/proc/PID/nothing', '/proc/sys/vm/nothing', '/sys/fs/nothing']);
});

test('all of /proc and /sys can be walked and read', () => {
  const kit = new Kit();
  const queue = ['/proc', '/sys', '/dev'];
  let files = 0;
  for (let path = queue.pop(); path !== undefined; path = queue.pop()) {
    for (const name of list(kit, path)) {
      const at = lookupAt(kit.task, AT_FDCWD, `${path}/${name}`, AT_SYMLINK_NOFOLLOW);
      assert.ok(typeof at !== 'number', `${path}/${name}`);
      if (at.inode.isDirectory()) queue.push(`${path}/${name}`);
      else if (at.inode.isRegular() && (at.inode.mode & 0o444) !== 0) files += kit.cat(`${path}/${name}`) === '' ? 0 : 1;
    }
  }
  assert.ok(files > 200, String(files));
  assert.deepEqual([...kit.kernel.unimplemented.keys()], []);
});

test('fdinfo', () => {
  const kit = new Kit();
  const fd = kit.call('eventfd2', 5, 0o2000000);
  assert.match(kit.cat(`/proc/self/fdinfo/${fd}`),
    /^pos:\t0\nflags:\t02000002\nmnt_id:\t0\nino:\t\d+\neventfd-count: {16}5\neventfd-semaphore: 0\n/);
});

test('large texts are kept side by side, but not without end', () => {
  const fs = { dev: 21, bootTime: 0n };
  let made = 0;
  const open = (sizeBytes: number): TextFile => {
    const inode = new TextInode(fs, `text${made}`, () => {
      made++;
      return new Uint8Array(sizeBytes);
    });
    return inode.open(0, null) as TextFile;
  };
  const task = null as unknown as Task;
  const readAll = (files: readonly TextFile[], rounds: number): void => {
    for (let i = 0; i < rounds; i++) for (const file of files) file.read(task, new Uint8Array(4096));
  };
  readAll([open(1 << 20), open(1 << 20), open(1 << 20)], 5);
  assert.equal(made, 3);
  made = 0;
  readAll([open(15 << 20), open(15 << 20), open(15 << 20)], 2);
  assert.equal(made, 6);
});
