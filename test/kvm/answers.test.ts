// What the machine answers itself about a file (vmm/answers.ts, kernel/syscalls/facts.ts): the same as the kernel would, as long as it is true, and
// everything else is a system call as ever. PVM-style hosts only; elsewhere the same calls trap, and the same must come out.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { REG } from '../../src/platform.ts';
import type { Context, FileFacts, Trap } from '../../src/platform.ts';
import { THREAD, runKicked } from './answershelp.ts';
import { CODE, DATA, Guest, RW, assemble, kvm } from './guest.ts';
import { bootImage, runToEnd, staticImage } from './harness.ts';

const isPvm = kvm().kind === 'pvm';
const skipMachine = isPvm ? false : 'this host answers nothing without a trap';
const STAT = new Uint8Array(144).map((_, i) => i + 1);
const FACTS: FileFacts = { fd: 3, pos: 77, atEnd: true, atLastEntry: true, stat: STAT };
const DEFAULTS = new Uint8Array(256).fill(1).fill(0, 7, 64);
const UD: Trap = { kind: 'exception', vector: 6, errorCode: 0, address: 0 };
const CALL = assemble('syscall; ud2');

/** Runs `syscall; ud2` with these registers: where it was answered, #UD is the trap. */
function call(guest: Guest, c: Context, regs: Partial<Record<keyof typeof REG, bigint>>, facts: FileFacts | null = FACTS): Trap {
  c.regs[REG.rip] = BigInt(CODE);
  c.regs[REG.rflags] = 0x202n;
  c.regs[REG.rsp] = 0x7000_0000n;
  for (const [name, value] of Object.entries(regs)) c.regs[REG[name as keyof typeof REG]] = value;
  if (facts) guest.machine.answerFrom(THREAD, facts, DEFAULTS);
  return guest.run(c);
}

/** The same, asked again when a kick came: in the midst of an answer it makes a call of it, and is reported at the next run. */
function answered(...args: Parameters<typeof call>): Trap {
  let trap = call(...args);
  for (let i = 0; i < 5 && trap.kind !== 'exception'; i++) trap = call(...args);
  return trap;
}

const LSEEK = { rax: 8n, rdi: 3n, rsi: 0n, rdx: 1n };
const TCGETS = { rax: 16n, rdi: 3n, rsi: 0x5401n, rdx: 0n };
const READ = { rax: 0n, rdi: 3n, rsi: BigInt(DATA), rdx: 1n };
const GETDENTS = { rax: 217n, rdi: 3n, rsi: 0n, rdx: 1000n };
const SIGACTION = { rax: 13n, rdi: 7n, rsi: 0n, rdx: BigInt(DATA + 512), r10: 8n };
const GETCWD = { rax: 79n, rdi: BigInt(DATA + 600), rsi: 1024n, rdx: 0n };
const GETTID = { rax: 186n, rdi: 0n, rsi: 0n, rdx: 0n };
const ROBUST = { rax: 273n, rdi: BigInt(THREAD.robustList), rsi: 24n, rdx: 0n };
const CWD = '/some/place';
const FSTAT = { rax: 262n, rdi: 3n, rsi: BigInt(DATA), rdx: BigInt(DATA + 256), r10: 0x1000n };

test('what is known is answered, with flags as they were', { skip: skipMachine }, () => {
  const guest = Guest.make(kvm());
  const c = guest.load(CALL);
  const page = guest.page(DATA, RW);
  for (const rflags of [0x202n, 0x0ed7n]) { // the second: CF PF AF ZF SF DF OF
    for (const [regs, result] of [[LSEEK, 77n], [TCGETS, -25n], [READ, 0n], [FSTAT, 0n], [GETDENTS, 0n], [SIGACTION, 0n], [GETCWD, 12n],
      [GETTID, 4321n], [ROBUST, 0n]] as const) {
      guest.machine.memory.u8.fill(0x55, page + 256, page + 4096);
      guest.machine.paths?.setCwd(CWD);
      assert.deepEqual(answered(guest, c, { ...regs, rflags }), UD);
      assert.equal(BigInt.asIntN(64, c.regs[REG.rax]), result);
      assert.equal(c.regs[REG.rcx], BigInt(CODE + 2));
      assert.equal(c.regs[REG.rflags] & 0xffffn, rflags | 0x202n);
      for (const name of ['rdi', 'rsi', 'rdx'] as const) assert.equal(c.regs[REG[name]], regs[name]);
    }
  }
  const written = (regs: Parameters<typeof call>[2], at: number, length: number): Uint8Array => {
    guest.machine.memory.u8.fill(0x55, page + at, page + 4096);
    assert.deepEqual(answered(guest, c, regs), UD);
    assert.equal(guest.machine.memory.u8[page + at + length], 0x55, 'a byte behind');
    return guest.machine.memory.u8.slice(page + at, page + at + length);
  };
  assert.deepEqual(written(FSTAT, 256, 144), STAT);
  assert.deepEqual(written(SIGACTION, 512, 32), new Uint8Array(32));
  for (let length = 1; length < 128; length++) {
    const path = `/${'directory'.repeat(14)}`.slice(0, length);
    guest.machine.paths?.setCwd(path);
    for (const rsi of [256n, 1024n, 65535n]) assert.equal(Buffer.from(written({ ...GETCWD, rsi }, 600, length + 1)).toString(), `${path}\0`);
    assert.equal(c.regs[REG.rax], BigInt(length + 1));
  }
  guest.machine.destroy();
});

test('everything else is a system call, its registers untouched', { skip: skipMachine }, () => {
  const guest = Guest.make(kvm());
  const c = guest.load(CALL);
  guest.page(DATA, RW, new Uint8Array(4096).fill(1, 64, 65));
  guest.machine.paths?.setCwd(CWD);
  const cases: readonly [Parameters<typeof call>[2], FileFacts | null][] = [
    [LSEEK, null], [{ ...LSEEK, rdi: 4n }, FACTS], [{ ...LSEEK, rdx: 0n }, FACTS], [{ ...LSEEK, rsi: 1n << 40n }, FACTS], [{ ...LSEEK, rax: 9n }, FACTS],
    [{ ...TCGETS, rsi: 0x5402n }, FACTS], [{ ...READ, rdx: 2n }, FACTS], [{ ...READ, rdx: (1n << 32n) + 1n }, FACTS], [READ, { ...FACTS, atEnd: false }],
    [{ ...FSTAT, r10: 0n }, FACTS], [{ ...FSTAT, rsi: BigInt(DATA + 64) }, FACTS],
    // addresses that fault: not there, half there, no address, wrapping round
    [{ ...READ, rsi: 0x900_0000n }, FACTS], [{ ...FSTAT, rsi: 0n }, FACTS], [{ ...FSTAT, rdx: BigInt(DATA + 4096 - 64) }, FACTS],
    [{ ...FSTAT, rdx: 1n << 63n }, FACTS], [{ ...FSTAT, rdx: 2n ** 64n - 64n }, FACTS], [{ ...FSTAT, rdx: 0xffff_8000_0001_0000n }, FACTS],
    // a step at a time, misaligned with AC, a stack pointer that is no address (entered at CPL 0)
    [{ ...LSEEK, rflags: 0x302n }, FACTS], [{ ...SIGACTION, rflags: 0x302n }, FACTS], [{ ...GETCWD, rflags: 0x302n }, FACTS],
    // a signal that has an action, none, too many; another size, an action to set; nowhere to put it
    [{ ...SIGACTION, rdi: 6n }, FACTS], [{ ...SIGACTION, rdi: 64n }, FACTS], [{ ...SIGACTION, rdi: 0n }, FACTS], [{ ...SIGACTION, rdi: 263n }, FACTS],
    [{ ...SIGACTION, rdi: (1n << 32n) + 7n }, FACTS], [{ ...SIGACTION, r10: 16n }, FACTS], [{ ...SIGACTION, rsi: BigInt(DATA) }, FACTS],
    [{ ...SIGACTION, rdx: 0n }, FACTS], [{ ...SIGACTION, rdx: BigInt(DATA + 4096 - 16) }, FACTS], [SIGACTION, null],
    [{ ...GETCWD, rsi: 255n }, FACTS], [{ ...GETCWD, rsi: 65536n }, FACTS], [{ ...GETCWD, rsi: (1n << 32n) + 1024n }, FACTS], [{ ...GETCWD, rsi: 0n }, FACTS],
    [{ ...GETCWD, rdi: 0n }, FACTS], [{ ...GETCWD, rdi: BigInt(DATA + 4096 - 11) }, FACTS], [GETCWD, null],
    [{ ...ROBUST, rdi: ROBUST.rdi + 8n }, FACTS], [{ ...ROBUST, rdi: ROBUST.rdi + (1n << 32n) }, FACTS], [{ ...ROBUST, rdi: 0n }, FACTS],
    [{ ...ROBUST, rsi: 12n }, FACTS], [{ ...ROBUST, rsi: (1n << 32n) + 24n }, FACTS], [ROBUST, null], [GETTID, null],
    [{ ...GETDENTS, rdi: 4n }, FACTS], [GETDENTS, { ...FACTS, atLastEntry: false }], [{ ...GETDENTS, rax: 78n }, FACTS],
    [{ ...FSTAT, rdx: BigInt(DATA + 257), rflags: 0x4_0202n }, FACTS], [{ ...LSEEK, rsp: 1n << 63n }, FACTS],
    [{ ...FSTAT, rsp: 1n << 63n, rdx: 0xffff_8000_0001_0000n }, FACTS],
  ];
  for (const [regs, facts] of cases) {
    const what = JSON.stringify(regs, (_, value: unknown) => (typeof value === 'bigint' ? value.toString(16) : value));
    assert.deepEqual(call(guest, c, regs, facts), { kind: 'syscall' }, what);
    assert.equal(c.regs[REG.rip], BigInt(CODE + 2), what);
    assert.equal(c.regs[REG.rcx], BigInt(CODE + 2), what);
    const flags = regs.rflags ?? 0x202n;
    assert.deepEqual([c.regs[REG.rflags], c.regs[REG.r11]], [flags, flags], what);
    for (const name of ['rax', 'rdi', 'rsi', 'rdx', 'r10', 'rsp'] as const) if (regs[name] !== undefined) assert.equal(c.regs[REG[name]], regs[name], what);
  }
  guest.machine.destroy();
});

test('facts are over with the run, and no other machine sees them', { skip: skipMachine }, () => {
  const guest = Guest.make(kvm());
  const c = guest.load(CALL);
  assert.deepEqual(call(guest, c, LSEEK), UD);
  assert.deepEqual(call(guest, c, LSEEK, null), { kind: 'syscall' });
  guest.machine.answerFrom(THREAD, FACTS);
  guest.machine.kick();
  assert.deepEqual(call(guest, c, LSEEK, null), { kind: 'kick' });
  assert.deepEqual(call(guest, c, LSEEK, null), { kind: 'syscall' });
  assert.ok(isKnown());
  const other = Guest.make(kvm());
  assert.deepEqual(call(other, other.load(CALL), LSEEK, null), { kind: 'syscall' });
  assert.ok(!isKnown());
  guest.machine.destroy();
  other.machine.destroy();
});

function isKnown(): boolean {
  const { stubPage } = kvm().area;
  return Buffer.from(stubPage.buffer, stubPage.byteOffset, stubPage.byteLength).includes(Buffer.from(STAT));
}

test('kicks in the midst of answers lose none and give none twice', { skip: skipMachine }, () => {
  const guest = Guest.make(kvm());
  const c = guest.load(assemble('1: mov $8,%eax; syscall; add %rax,%rbx; inc %rbp; jmp 1b'));
  c.regs[REG.rdi] = 3n;
  c.regs[REG.rdx] = 1n;
  runKicked(guest, c, FACTS, { nr: 8n, result: 77n });
  const between = c.regs[REG.rbx] - 77n * c.regs[REG.rbp]; // a kick may come between the two additions
  assert.ok(between === 0n || between === 77n);
  guest.machine.destroy();
});

const PROGRAM = `
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
static long pos(int fd) { long r = lseek(fd, 0, SEEK_CUR); return r < 0 ? -errno : r; }
static void show(const char *what, int fd) {
  struct stat s; struct termios t; memset(&s, 0x5a, sizeof s);
  long a = pos(fd), b = ioctl(fd, TCGETS, &t); int e = errno; long c = syscall(SYS_newfstatat, fd, "", &s, AT_EMPTY_PATH);
  printf("%s: pos %ld, tty %ld %d, stat %ld ", what, a, b, b ? e : 0, c);
  printf("mode %o size %ld links %ld, then %ld\\n", s.st_mode, (long)s.st_size, (long)s.st_nlink, pos(fd));
}
static int shared;
static void *mover(void *a) { lseek(shared, 5, SEEK_SET); return a; }
int main(int argc, char **argv) {
  char b[64]; const char *name = argv[1]; char *bad = mmap(0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  int w = open(name, O_CREAT | O_TRUNC | O_RDWR, 0644); write(w, "twenty bytes of text", 20);
  int fd = open(name, O_RDONLY);
  show("opened", fd); show("no such", 99);
  read(fd, b, 7); show("read 7", fd); show("the other", w);
  read(fd, b, 64); printf("at the end %ld\\n", (long)read(fd, b, 1)); show("at the end", fd);
  errno = 0; printf("bad buffers %ld %d\\n", (long)syscall(SYS_read, fd, -1L, 1), errno);
  errno = 0; printf("%ld %d\\n", syscall(SYS_newfstatat, fd, "", bad, AT_EMPTY_PATH), errno);
  write(w, "more", 4); printf("grown: %ld\\n", (long)read(fd, b, 1)); show("grown", fd);
  fchmod(fd, 0600); show("chmod", fd); link(name, argv[2]); show("link", fd); unlink(argv[2]); show("unlink", fd);
  int copy = dup(fd); read(fd, b, 1); lseek(copy, 3, SEEK_SET); show("moved by a copy", fd);
  read(fd, b, 1); if (fork() == 0) { lseek(fd, 9, SEEK_SET); _exit(0); } wait(0); show("moved by a child", fd);
  shared = fd; pthread_t t; pthread_create(&t, 0, mover, 0); pthread_join(t, 0); show("moved by a thread", fd);
  int null = open("/dev/null", O_RDWR), path = open(name, O_PATH); show("null", null); show("path", path);
  read(fd, b, 1); dup2(null, fd); show("replaced", fd); close(fd); show("closed", fd);
  int many = open(name, O_RDONLY); long sum = 0; for (int i = 0; i < 1000; i++) sum += lseek(many, 0, SEEK_CUR) + 1; printf("%ld\\n", sum);
}`;

test('a program is told what Linux would tell it', { skip: spawnSync('gcc', ['--version']).status !== 0 && 'gcc is missing' }, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'offshoot-answers-'));
  try {
    writeFileSync(join(dir, 'a.c'), PROGRAM);
    execFileSync('gcc', ['-w', '-o', join(dir, 'a'), join(dir, 'a.c'), '-lpthread']);
    const native = execFileSync(join(dir, 'a'), [join(dir, 'x'), join(dir, 'y')], { encoding: 'utf8' });
    const image = await staticImage({ a: PROGRAM });
    for (const isTraced of [false, true]) {
      const booted = bootImage(image);
      let calls = 0;
      if (isTraced) booted.kernel.traceTo((text) => {
        calls += text.split('lseek(').length - 1;
      });
      booted.kernel.spawn('/bin/a', ['a', '/tmp/x', '/tmp/y'], ['PATH=/bin']);
      assert.deepEqual(runToEnd(booted.kernel), { kind: 'exit', code: 0 });
      assert.equal(booted.out.stdout, native);
      // A trace shows every call; without one the thousand at the end never reach the kernel.
      if (isTraced) assert.ok(calls > 1000, `${calls} calls of lseek are in the trace`);
      else if (isPvm) assert.ok(booted.kernel.syscallCount < 500, `${booted.kernel.syscallCount} calls reached the kernel`);
      booted.destroy();
    }
  } finally {
    rmSync(dir, { recursive: true });
  }
});
