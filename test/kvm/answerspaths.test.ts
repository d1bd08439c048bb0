// Stats of paths that the machine answers itself (vmm/answers.ts, kernel/syscalls/pathfacts.ts): of exactly these paths, and only while they are true.
// PVM-style hosts only; elsewhere the same calls trap, and the same must come out.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { REG } from '../../src/platform.ts';
import type { Context, PathAnswers, Trap } from '../../src/platform.ts';
import { THREAD, runKicked } from './answershelp.ts';
import { CODE, DATA, Guest, RW, assemble, kvm } from './guest.ts';
import { bootImage, runToEnd, staticImage } from './harness.ts';

const isPvm = kvm().kind === 'pvm';
const skipMachine = isPvm ? false : 'this host answers nothing without a trap';
const UD: Trap = { kind: 'exception', vector: 6, errorCode: 0, address: 0 };
const STAT_AT = DATA + 1024;
const AT_FDCWD = 0xffff_ff9cn;

/** A machine with one page of data, whose last bytes are followed by nothing. */
class Asker {
  readonly guest = Guest.make(kvm());
  readonly c: Context = this.guest.load(assemble('syscall; ud2'));
  readonly page = this.guest.page(DATA, RW);
  readonly paths = this.guest.machine.paths as PathAnswers;

  /** Slot `slot` tells that `path` has a struct stat of only this byte. */
  tell(slot: number, path: string | null, byte = 0): boolean {
    return this.paths.set(slot, path, 0, new Uint8Array(144).fill(byte));
  }

  /** newfstatat of `path`, put at `at`. */
  ask(path: string, regs: Partial<Record<keyof typeof REG, bigint>> = {}, at = DATA): Trap {
    const { guest, c, page } = this;
    guest.machine.memory.u8.fill(0, page, page + 4096);
    guest.machine.memory.u8.set(Buffer.from(`${path}\0`), page + at - DATA);
    const all = { rip: BigInt(CODE), rflags: 0x202n, rax: 262n, rdi: AT_FDCWD, rsi: BigInt(at), rdx: BigInt(STAT_AT), r10: 0n, ...regs };
    for (const [name, value] of Object.entries(all)) c.regs[REG[name as keyof typeof REG]] = value;
    for (;;) {
      guest.machine.answerFrom(THREAD, null);
      const trap = guest.run(c);
      if (trap.kind === 'kick') continue;
      // A kick in the midst of an answer makes it a call too, and the next run reports the kick: then it is asked again.
      const regsThen = c.regs.slice();
      if (trap.kind === 'syscall' && guest.run(c).kind === 'kick') return this.ask(path, regs, at);
      c.regs.set(regsThen);
      return trap;
    }
  }

  /** What was answered: the first byte of the struct stat or an error, -1 when it was a call. */
  answer(...args: Parameters<Asker['ask']>): number {
    const trap = this.ask(...args);
    const { c, guest, page } = this;
    if (trap.kind === 'syscall') {
      assert.deepEqual([REG.rax, REG.rip, REG.rcx, REG.r11].map((i) => c.regs[i]), [262n, BigInt(CODE + 2), BigInt(CODE + 2), 0x202n]);
      const { rdi = AT_FDCWD, r10 = 0n } = args[1] ?? {};
      assert.deepEqual([c.regs[REG.rdi], c.regs[REG.r10]], [rdi, r10]);
      return -1;
    }
    assert.deepEqual(trap, UD);
    assert.deepEqual([c.regs[REG.rdi], c.regs[REG.r10], c.regs[REG.rflags] & 0xcffn], [AT_FDCWD, 0n, (args[1]?.rflags ?? 0x202n) & 0xcffn]);
    const result = Number(BigInt.asIntN(64, c.regs[REG.rax]));
    if (result < 0) return result;
    assert.equal(result, 0);
    const stat = guest.machine.memory.u8.subarray(page + STAT_AT - DATA, page + STAT_AT - DATA + 145);
    assert.ok(stat.subarray(0, 144).every((byte) => byte === stat[0]) && stat[144] === 0);
    return stat[0];
  }
}

const pathOfLength = (length: number): string => `/${'abcdefghijklmnopqrstuvwxyz'.repeat(4).slice(0, length - 1)}`;

test('a path of any length is answered, and none that differs from it', { skip: skipMachine }, () => {
  const asker = new Asker();
  for (let length = 1; length <= 95; length++) {
    const path = pathOfLength(length);
    assert.ok(asker.tell(length % 8, path, length));
    assert.equal(asker.answer(path), length);
    assert.equal(asker.answer(path, { rflags: 0xed7n }), length); // CF PF AF ZF SF DF OF
    assert.equal(asker.answer(path, {}, DATA + 4096 - length - 1), length);
    for (let at = 0; at < length; at++) assert.equal(asker.answer(`${path.slice(0, at)}~${path.slice(at + 1)}`), -1);
    for (const other of [path.slice(0, -1), `${path}x`, path.slice(1), '']) assert.notEqual(asker.answer(other), length, other);
  }
  for (const path of [pathOfLength(96), pathOfLength(104)]) assert.ok(!asker.tell(0, path), path);
  asker.guest.machine.destroy();
});

/** Paths with the same hash: h = 5 h + byte. */
const SAME_HASH = ['/p/bb', '/p/ag', '/p/c]'];

test('all slots at once; those that were taken back; other arguments', { skip: skipMachine }, () => {
  const asker = new Asker();
  const { machine } = asker.guest;
  const { slots } = asker.paths;
  const paths = Array.from({ length: slots }, (_, i) => `${pathOfLength(20 + i % 40)}/${i}`);
  paths.forEach((path, i) => assert.ok(asker.tell(i, path, i % 250 + 1)));
  const check = (isThere: (i: number) => boolean): void => paths.forEach((path, i) => assert.equal(asker.answer(path), isThere(i) ? i % 250 + 1 : -1));
  check(() => true);
  for (let i = 3; i < slots; i += 5) asker.tell(i, null);
  check((i) => i % 5 !== 3);
  asker.tell(5, paths[8], 7);
  assert.deepEqual([asker.answer(paths[8]), asker.answer(paths[5])], [7, -1]);
  const [path] = paths;
  const others = [{ rdi: 3n }, { rdi: 2n ** 64n - 100n }, { r10: 0x100n }, { r10: 1n << 40n }, { rsi: 0n }, { rsi: 1n << 63n }, { rsi: BigInt(DATA + 4095) }];
  for (const regs of others) assert.equal(asker.answer(path, regs), -1);
  assert.equal(asker.ask(path, { rax: 4n }).kind, 'syscall');
  for (const rdx of [0n, BigInt(DATA + 4096 - 64), 1n << 63n, 2n ** 64n - 64n]) assert.equal(asker.answer(path, { rdx }), -1);
  asker.paths.clear();
  check(() => false);
  SAME_HASH.forEach((each, i) => {
    asker.tell(i, each, i + 1);
    SAME_HASH.forEach((one, j) => assert.ok([j <= i ? j + 1 : -1, -1].includes(asker.answer(one)), 'its own or none'));
    assert.equal(asker.answer(each), i + 1);
  });
  asker.paths.set(9, '/not/here', -2, null);
  assert.equal(asker.answer('/not/here'), -2);
  assert.equal(asker.answer('/not/here', { rdx: 0n }), -2);
  asker.tell(0, path, 1);
  const other = new Asker();
  assert.equal(other.answer(path), -1);
  assert.ok(!asker.paths.isKept);
  assert.equal(asker.answer(path), -1);
  machine.destroy();
  other.guest.machine.destroy();
});

test('kicks while paths are looked up lose no call and give none twice', { skip: skipMachine }, () => {
  const asker = new Asker();
  const { guest } = asker;
  const paths = ['/usr/lib/python3.11/some/module.py', '/usr/lib/python3.11'];
  paths.forEach((path, i) => asker.tell(i * 7, path, 9));
  asker.ask(paths[1]);
  const c = guest.load(assemble('1: mov $262,%eax; syscall; add %rax,%rbx; inc %rbp; jmp 1b'));
  for (const [name, value] of Object.entries({ rdi: AT_FDCWD, rsi: BigInt(DATA), rdx: BigInt(STAT_AT) })) c.regs[REG[name as keyof typeof REG]] = value;
  runKicked(guest, c, null, { nr: 262n, result: 0n });
  assert.equal(c.regs[REG.rbx], 0n);
  guest.machine.destroy();
});

const PROGRAM = `
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
static char dir[80], file[90], moved[90];
static void one(const char *path) {
  struct stat s; memset(&s, 0x5a, sizeof s); errno = 0;
  long r = syscall(SYS_newfstatat, AT_FDCWD, path, &s, 0);
  printf(" %ld/%d %o %ld %ld %d", r, errno, s.st_mode, S_ISREG(s.st_mode) ? (long)s.st_size : 0, (long)s.st_nlink, s.st_uid);
}
static void show(const char *what) { printf("%s:", what); for (int i = 0; i < 3; i++) { one(dir); one(file); } puts(""); fflush(stdout); }
static void put(const char *text) { int fd = open(file, O_WRONLY | O_CREAT | O_APPEND, 0644); write(fd, text, strlen(text)); close(fd); }
int main(int argc, char **argv) {
  sprintf(dir, "%s/paths", argv[1]); sprintf(file, "%s/file", dir); sprintf(moved, "%s/moved", argv[1]);
  umask(022); mkdir(dir, 0755); put("text"); show("made"); put("more"); show("longer");
  chmod(file, 0600); show("chmod"); chown(file, 7, 7); show("chown"); truncate(file, 3); show("cut");
  mkdir(moved, 0755); rmdir(moved); link(file, moved); show("link"); unlink(moved); show("unlink");
  rename(dir, moved); show("moved away"); mkdir(dir, 0700); show("another"); put("new"); show("another file");
  unlink(file); symlink("/etc/none", file); show("a link"); unlink(file); rmdir(dir); symlink(moved, dir); show("a linked directory");
  unlink(dir); rename(moved, dir); show("back");
  if (fork() == 0) { chmod(dir, 0711); unlink(file); _exit(0); } wait(0); show("by a child");
  put("again"); show("again"); if (fork() == 0) { show("in a child"); setgid(1000); setuid(1000); show("as another"); _exit(0); } wait(0);
  chmod(dir, 0700); if (fork() == 0) { show("in a child"); setgid(1000); setuid(1000); show("as another"); chdir("/"); _exit(0); } wait(0);
  if (fork() == 0) { show("before"); chroot(dir); show("chroot"); _exit(0); } wait(0);
  show("a thousand times"); struct stat s;
  for (int i = 0; i < 2000; i++) syscall(SYS_newfstatat, AT_FDCWD, i % 2 ? file : dir, &s, 0);
  unlink(file); rmdir(dir);
}`;

test('a program finds at its paths what Linux would show', {
  skip: spawnSync('gcc', ['--version']).status !== 0 ? 'gcc is missing' : process.getuid?.() !== 0 && 'needs root, for chown and setuid',
}, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'offshoot-paths-'));
  try {
    execFileSync('chmod', ['755', dir]);
    writeFileSync(join(dir, 'a.c'), PROGRAM);
    execFileSync('gcc', ['-w', '-o', join(dir, 'a'), join(dir, 'a.c')]);
    const native = execFileSync(join(dir, 'a'), [dir], { encoding: 'utf8' });
    const image = await staticImage({ a: PROGRAM });
    for (const isTraced of [false, true]) {
      const booted = bootImage(image);
      if (isTraced) booted.kernel.traceTo(() => {});
      booted.kernel.spawn('/bin/a', ['a', '/home'], ['PATH=/bin'], { uid: 0 });
      assert.deepEqual(runToEnd(booted.kernel), { kind: 'exit', code: 0 });
      assert.equal(booted.out.stdout, native);
      if (isTraced) assert.ok(booted.kernel.syscallCount > 2000);
      else if (isPvm) assert.ok(booted.kernel.syscallCount < 1000, `${booted.kernel.syscallCount} calls reached the kernel`);
      booted.destroy();
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
});
