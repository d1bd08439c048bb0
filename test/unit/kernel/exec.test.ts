// Loading programs: ELF headers, segments, the first stack, scripts, and what execve changes in a process.

import assert from 'node:assert/strict';
import test from 'node:test';
import type { Process } from '../../../src/kernel/process/process.ts';
import { buildStack } from '../../../src/kernel/process/stack.ts';
import { spawn } from '../../../src/kernel/process/spawn.ts';
import { REG } from '../../../src/platform.ts';
import { Kit, elf } from './corekit.ts';

const PROGRAM = { data: elf(), mode: 0o755 };

function start(kit: Kit, path: string, argv = [path, 'one'], envp = ['A=b']): Process | number {
  return spawn(kit.kernel, path, argv, envp);
}

/** The first stack as {argc, argv, envp, auxv}. */
function readStack(process: Process): { sp: number; argv: string[]; envp: string[]; auxv: Map<number, number> } {
  const { mm } = process;
  const sp = Number(process.tasks[0].context.regs[REG.rsp]);
  let at = sp + 8;
  const strings = (): string[] => {
    const list: string[] = [];
    for (;; at += 8) {
      const pointer = mm.readAddr(at);
      if (pointer === 0) break;
      list.push(mm.readCString(pointer, 4096) as string);
    }
    at += 8;
    return list;
  };
  const argv = strings(), envp = strings();
  const auxv = new Map<number, number>();
  for (; mm.readAddr(at) !== 0; at += 16) auxv.set(mm.readAddr(at), mm.readAddr(at + 8));
  assert.equal(mm.readAddr(sp), argv.length);
  return { sp, argv, envp, auxv };
}

test('a static program: stack, auxiliary vector, registers', () => {
  const kit = new Kit({ 'bin/prog': PROGRAM });
  const process = start(kit, '/bin/prog') as Process;
  const { sp, argv, envp, auxv } = readStack(process);
  assert.equal(sp % 16, 0);
  assert.deepEqual(argv, ['/bin/prog', 'one']);
  assert.deepEqual(envp, ['A=b']);
  assert.equal(auxv.get(9), 0x401000);
  assert.equal(auxv.get(3), 0x400040);
  assert.equal(auxv.get(6), 4096);
  assert.equal(auxv.get(17), 100);
  assert.equal(process.mm.readCString(auxv.get(31) as number, 100), '/bin/prog');
  assert.equal(process.mm.readCString(auxv.get(15) as number, 100), 'x86_64');
  assert.ok((auxv.get(51) as number) > 1000);
  const { regs } = process.tasks[0].context;
  assert.equal(regs[REG.rip], 0x401000n);
  assert.equal(regs[REG.rax], 0n);
  assert.equal(process.exe, '/bin/prog');
  assert.equal(process.tasks[0].comm, 'prog');
});

test('.bss reads as zero to the end of its page and beyond', () => {
  const data = elf({
    segments: [
      { vaddr: 0x400000, offset: 0, filesz: 0x2000, flags: 5 }, { vaddr: 0x602000, offset: 0x2000, filesz: 0x10, memsz: 0x3000, flags: 6 },
    ],
  });
  const full = new Uint8Array(0x3000).fill(0xaa);
  full.set(data);
  const kit = new Kit({ 'bin/prog': { data: full, mode: 0o755 } });
  const { mm } = start(kit, '/bin/prog') as Process;
  assert.equal(mm.readU32(0x602010), 0);
  assert.equal(mm.readU32(0x604ffc), 0);
  assert.ok(mm.readU32(0x605000) < 0);
  assert.ok(mm.startBrk >= 0x605000);
});

test('position-independent with an interpreter: both at random places, entry is the interpreter’s', () => {
  const main = elf({ type: 3, entry: 0x1000, interp: '/lib/ld.so', segments: [{ vaddr: 0, offset: 0, filesz: 0x2000, flags: 5 }] });
  const ld = elf({ type: 3, entry: 0x1100, segments: [{ vaddr: 0, offset: 0, filesz: 0x2000, flags: 5 }] });
  const kit = new Kit({ 'bin/prog': { data: main, mode: 0o755 }, 'lib/ld.so': { data: ld, mode: 0o755 } });
  const bases = new Set<number>();
  for (let i = 0; i < 4; i++) {
    const process = start(kit, '/bin/prog') as Process;
    const { auxv } = readStack(process);
    const base = auxv.get(7) as number;
    assert.equal(Number(process.tasks[0].context.regs[REG.rip]), base + 0x1100);
    assert.equal((auxv.get(9) as number) % 4096, 0);
    assert.ok((auxv.get(9) as number) >= 0x5555_5555_0000);
    bases.add(base);
  }
  assert.equal(bases.size, 4);
});

test('files that cannot be executed', () => {
  const truncated = elf().slice(0, 100);
  const kit = new Kit({
    'bin/text': { data: 'hello', mode: 0o755 }, 'bin/noexec': { data: elf(), mode: 0o644 }, 'bin/short': { data: truncated, mode: 0o755 },
    'bin/arm': { data: elf({ machine: 183 }), mode: 0o755 },
    'bin/kernel': { data: elf({ segments: [{ vaddr: 0x7fff_ffff_f000, offset: 0, filesz: 4096, flags: 5 }] }), mode: 0o755 },
    'bin/noload': { data: elf({ segments: [] }), mode: 0o755 },
    'bin/nointerp': { data: elf({ interp: '/lib/none' }), mode: 0o755 },
    'bin/misaligned': { data: elf({ segments: [{ vaddr: 0x400010, offset: 0, filesz: 4096, flags: 5 }] }), mode: 0o755 },
  });
  const expected = [
    ['text', 8], ['noexec', 13], ['short', 8], ['arm', 8], ['kernel', 22], ['noload', 8], ['nointerp', 2], ['misaligned', 22], ['missing', 2],
  ];
  for (const [name, errno] of expected) {
    assert.equal(start(kit, `/bin/${name}`), -(errno as number), String(name));
  }
  assert.equal(start(kit, '/bin'), -13);
});

test('scripts: interpreter, one argument, nesting', () => {
  const kit = new Kit({
    'bin/prog': PROGRAM, 'bin/script': { data: '#! /bin/prog  -a b \nrest', mode: 0o755 }, 'bin/nested': { data: '#!/bin/script', mode: 0o755 },
    'bin/loop': { data: '#!/bin/loop', mode: 0o755 }, 'bin/empty': { data: '#!\n', mode: 0o755 },
  });
  assert.deepEqual(readStack(start(kit, '/bin/script', ['x', 'y']) as Process).argv, ['/bin/prog', '-a b', '/bin/script', 'y']);
  assert.deepEqual(readStack(start(kit, '/bin/nested', ['x', 'y']) as Process).argv, ['/bin/prog', '-a b', '/bin/script', '/bin/nested', 'y']);
  assert.equal(start(kit, '/bin/loop'), -40);
  assert.equal(start(kit, '/bin/empty'), -8);
});

test('too many arguments', () => {
  const kit = new Kit({ 'bin/prog': PROGRAM });
  const long = 'x'.repeat(100_000);
  assert.equal(start(kit, '/bin/prog', Array.from({ length: 80 }, () => long)), -7);
  assert.ok(typeof start(kit, '/bin/prog', Array.from({ length: 10 }, () => long)) === 'object');
});

test('execve in a process: handlers, descriptors and threads go, ids stay', () => {
  const kit = new Kit({ 'bin/prog': PROGRAM });
  const { process } = kit.task;
  kit.call('rt_sigaction', 10, kit.words(0x1234, 0x0400_0000, 1, 0), 0, 8);
  kit.call('rt_sigaction', 12, kit.words(1, 0, 0, 0), 0, 8);
  const path = kit.text('/bin/prog');
  const argv = kit.words(path, kit.text('arg'), 0), envp = kit.words(kit.text('K=v'), 0);
  const thread = kit.call('clone', 0x3d0f00, kit.room(4096) + 4096, 0, 0, 0) as number;
  assert.ok(kit.kernel.tasks.has(thread));
  const pid = process.pid;
  kit.call('execve', path, argv, envp);
  assert.equal(process.pid, pid);
  assert.deepEqual([...kit.kernel.tasks.keys()], [pid]);
  assert.equal(process.signals.action(10).handler, 0n);
  assert.equal(process.signals.action(12).handler, 1n);
  assert.deepEqual(readStack(process).argv, ['/bin/prog', 'arg']);
  assert.equal(kit.call('getpid'), pid);
});

test('a failed execve changes nothing', () => {
  const kit = new Kit({ 'bin/text': { data: 'x', mode: 0o755 } });
  const rip = kit.task.context.regs[REG.rip];
  assert.equal(kit.call('execve', kit.text('/bin/text'), 0, 0), -8);
  assert.equal(kit.call('execve', kit.text(''), 0, 0), -2);
  assert.equal(kit.call('execve', 0x10, 0, 0), -14);
  assert.equal(kit.call('execve', kit.text('/bin/text'), 0x10, 0), -14);
  assert.equal(kit.call('execveat', -100, kit.text('/bin/text'), 0, 0, 0x4000), -22);
  assert.equal(kit.task.context.regs[REG.rip], rip + 10n);
});

test('the stack image is laid out as the ABI says, for any number of arguments', () => {
  for (let n = 0; n < 5; n++) {
    const argv = Array.from({ length: n }, (_, i) => 'a'.repeat(i));
    const stack = buildStack({ top: 0x7000_0000, argv, envp: ['X'], execfn: '/x', auxv: [[6, 4096]], random: new Uint8Array(16).fill(7) });
    assert.equal(stack.sp % 16, 0);
    assert.equal(stack.sp + stack.bytes.length, 0x7000_0000);
    assert.equal(new DataView(stack.bytes.buffer).getUint32(0, true), n);
  }
});
