// The machine's border: what a trap carries, and that a context comes back as it was left.

import { closeSync, openSync, readdirSync, readlinkSync } from 'node:fs';
import test from 'node:test';
import assert from 'node:assert/strict';
import { EAGAIN } from '../../src/abi/linux/errno.ts';
import { LOCK_EX, LOCK_NB } from '../../src/abi/linux/host.ts';
import { flockTry } from '../../src/host/libc.ts';
import { REG } from '../../src/platform.ts';
import type { Trap } from '../../src/platform.ts';
import { CODE, DATA, Guest, RW, STACK_TOP, assemble, context, kvm } from './guest.ts';

function withGuest(source: string, body: (guest: Guest, c: ReturnType<typeof context>) => void): void {
  const guest = Guest.make(kvm());
  try {
    body(guest, guest.load(assemble(source)));
  } finally {
    guest.machine.destroy();
  }
}

const exception = (vector: number, errorCode = 0, address = 0): Trap => ({ kind: 'exception', vector, errorCode, address });

test('a system call round trip carries every register both ways', () => {
  withGuest('1: syscall; jmp 1b', (guest, c) => {
    for (let round = 0; round < 3; round++) {
      const put = c.regs.map((_, i) => BigInt.asUintN(64, 0x1111_2222_3333_4444n * BigInt(i + 1 + round)));
      for (let i = 0; i < REG.rip; i++) c.regs[i] = put[i];
      c.regs[REG.rip] = BigInt(CODE);
      c.regs[REG.rflags] = 0x8d5n; // CF PF AF ZF SF OF
      assert.deepEqual(guest.run(c), { kind: 'syscall' });
      for (let i = 0; i < REG.rip; i++) {
        if (i !== REG.rcx && i !== REG.r11) assert.equal(c.regs[i], put[i], `register ${i}`);
      }
      assert.equal(c.regs[REG.rip], BigInt(CODE + 2));
      assert.equal(c.regs[REG.rcx], BigInt(CODE + 2));
      assert.equal(c.regs[REG.rflags] & 0xcd5n, 0x8d5n & 0xcd5n);
      assert.equal(c.regs[REG.r11], c.regs[REG.rflags]);
    }
  });
});

test('exceptions carry vector, error code and address', () => {
  const cases: [string, Trap, number][] = [
    ['xor %ecx,%ecx; div %ecx', exception(0), 2],
    ['int3', exception(3), 1],
    ['ud2', exception(6), 0],
    ['hlt', exception(13), 0],
    ['mov 0x1234,%eax', exception(14, 4, 0x1234), 0],
    ['movl $1,0x400000', exception(14, 7, 0x40_0000), 0],
    ['mov $0x6ffff000,%rax; jmp *%rax', exception(14, 0x15, STACK_TOP - 4096), -1],
    ['pushf; orl $0x100,(%rsp); popf; nop', exception(1), 10],
    ['movabs $0x8000000000000000,%rax; mov (%rax),%rax', exception(13), 10],
  ];
  for (const [source, want, offset] of cases) {
    withGuest(source, (guest, c) => {
      assert.deepEqual(guest.run(c), want, source);
      if (offset >= 0) assert.equal(Number(c.regs[REG.rip]), CODE + offset, `${source}: RIP`);
      assert.equal(Number(c.regs[REG.rsp]), STACK_TOP, `${source}: RSP`);
    });
  }
});

test('alignment checks are what the processor makes of them', () => {
  withGuest('pushf; orl $0x40000,(%rsp); popf; mov 0x400001,%rax', (guest, c) => {
    const trap = guest.run(c);
    if (process.env['OFFSHOOT_HWKVM'] === undefined) assert.deepEqual(trap, exception(17));
    else assert.equal(trap.kind, 'exception'); // the emulation says #GP, behind the instruction
  });
});

test('a fault can be repaired and the instruction run again', () => {
  withGuest('mov $7,%ebx; mov %rbx,0x600008; mov 0x600008,%rdx; syscall', (guest, c) => {
    assert.deepEqual(guest.run(c), exception(14, 6, DATA + 8));
    const gpa = guest.page(DATA, RW);
    assert.equal(guest.run(c).kind, 'syscall');
    assert.equal(c.regs[REG.rdx], 7n);
    assert.equal(guest.machine.memory.u8[gpa + 8], 7);
  });
});

test('a page outside guest memory is an MMIO trap', () => {
  withGuest('mov 0x600008,%eax', (guest, c) => {
    guest.space.map(DATA, 0xf000_0000, RW);
    const trap = guest.run(c);
    assert.equal(trap.kind, 'mmio');
    if (trap.kind !== 'mmio') return;
    assert.equal(trap.gpa, 0xf000_0008);
    assert.equal(trap.isWrite, false);
    assert.equal(trap.data.length, 4);
  });
});

test('an endless loop is kicked, goes on afterwards, and the slice is kept', () => {
  withGuest('1: inc %rbx; jmp 1b', (guest, c) => {
    guest.run(c, 1e6);
    let before = 0n;
    const start = process.cpuUsage();
    for (let i = 0; i < 20; i++) {
      assert.deepEqual(guest.run(c, 1e6), { kind: 'kick' });
      assert.ok(c.regs[REG.rbx] >= before);
      before = c.regs[REG.rbx];
    }
    assert.ok(before > 0n);
    const { user, system } = process.cpuUsage(start); // whatever else the machine does meanwhile
    assert.ok(user + system < 2e6 * Number(process.env['OFFSHOOT_TEST_SLOW'] ?? 1), `20 slices of 1 ms took ${user + system} µs`);
  });
});

test('kicks at any moment: no fault, no system call is lost, none comes twice', () => {
  withGuest('1: inc %rbx; ud2; inc %rbx; syscall; inc %rbx; int3; jmp 1b', (guest, c) => {
    const wanted = ['exception 6', 'syscall', 'exception 3'];
    let seen = 0;
    let kicks = 0;
    for (let i = 0; i < 4000; i++) {
      const trap = guest.run(c, 1000 + (i * 7919) % 60_000);
      if (trap.kind === 'kick') {
        kicks++;
        assert.ok(c.regs[REG.rip] < 2n ** 47n);
        continue;
      }
      assert.equal(trap.kind === 'exception' ? `exception ${trap.vector}` : trap.kind, wanted[seen % 3], `trap ${seen}, after ${kicks} kicks`);
      seen++;
      assert.equal(Number(c.regs[REG.rbx]), seen);
      if (trap.kind === 'exception' && trap.vector === 6) c.regs[REG.rip] += 2n;
    }
    assert.ok(kicks > 0 && seen > 0, `${kicks} kicks, ${seen} traps`);
  });
});

test('a kick asked for in advance ends the next run, once', () => {
  withGuest('1: syscall; jmp 1b', (guest, c) => {
    guest.machine.kick();
    assert.deepEqual(guest.run(c), { kind: 'kick' });
    assert.deepEqual(guest.run(c), { kind: 'syscall' });
  });
});

test('a signal to the thread is a kick, also when it comes before the run', () => {
  withGuest('1: jmp 1b', (guest, c) => {
    guest.run(c, 1e6);
    kvm().kicker.kick();
    assert.deepEqual(guest.run(c, 1e9), { kind: 'kick' });
  });
});

test('memory grows on demand up to its limit, in place', () => {
  const guest = Guest.make(kvm(), 48 * 2 ** 20);
  try {
    const { memory } = guest.machine;
    const c = guest.load(assemble('mov 0x600000,%rbx; syscall'));
    assert.equal(memory.sizeBytes, 16 * 2 ** 20);
    assert.equal(memory.grow(17 * 2 ** 20), true);
    assert.equal(memory.sizeBytes, 32 * 2 ** 20);
    memory.u8[31 * 2 ** 20] = 99;
    guest.space.map(DATA, 31 * 2 ** 20, RW);
    guest.run(c);
    assert.equal(c.regs[REG.rbx], 99n);
    assert.equal(memory.grow(48 * 2 ** 20), true);
    assert.equal(memory.grow(48 * 2 ** 20 + 1), false);
    assert.equal(memory.grow(NaN), false);
    assert.equal(memory.u8.length, 48 * 2 ** 20);
  } finally {
    guest.machine.destroy();
  }
});

test('memory up to four gigabytes: frames and page tables at the top', () => {
  const guest = Guest.make(kvm(), 4 * 2 ** 30);
  try {
    const { memory } = guest.machine;
    assert.equal(memory.grow(4 * 2 ** 30), true);
    const c = guest.load(assemble('mov 0x600000,%rbx; syscall'));
    guest.next = 4 * 2 ** 30 - 64 * 4096; // from here on page tables are high as well
    for (const [i, gva] of [DATA, DATA + 2 ** 39, DATA + 2 ** 31].entries()) {
      const gpa = guest.page(gva, RW, new Uint8Array([i + 1]));
      assert.ok(gpa > 3.9 * 2 ** 30);
      assert.equal(guest.space.entry(gva), gpa + RW);
    }
    assert.equal(guest.run(c).kind, 'syscall');
    assert.equal(c.regs[REG.rbx], 1n);
    guest.space.unmap(0x50_0000, 2 ** 40);
    c.regs[REG.rip] = BigInt(CODE);
    assert.deepEqual(guest.run(c), exception(14, 4, DATA));
    guest.space.map(DATA, 4 * 2 ** 30 - 4096, RW);
    memory.u8[4 * 2 ** 30 - 4096] = 77;
    assert.equal(guest.run(c).kind, 'syscall');
    assert.equal(c.regs[REG.rbx], 77n);
  } finally {
    guest.machine.destroy();
  }
});

test('RIP outside the user half is refused, not run', () => {
  withGuest('nop', (guest, c) => {
    c.regs[REG.rip] = 0xffff_8001_0000_2000n;
    assert.equal(guest.run(c).kind, 'failed');
  });
});

/** Open VMs of this process. */
function openVms(): number {
  return readdirSync('/proc/self/fd').filter((fd) => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`) === 'anon_inode:kvm-vm';
    } catch {
      return false; // the directory's own
    }
  }).length;
}

test('VMs are closed in turn with other processes, and without a turn when that takes too long', () => {
  const other = openSync('/dev/kvm', 'r+'); // its locks are not ours, as another process's are not
  const before = openVms();
  const close = (): number => {
    const guest = Guest.make(kvm());
    guest.run(guest.load(assemble('syscall')));
    assert.equal(openVms(), before + 1);
    const start = performance.now();
    guest.machine.destroy();
    assert.equal(openVms(), before);
    return performance.now() - start;
  };
  try {
    const fastest = (): number => Math.min(...Array.from({ length: 8 }, close));
    const freeMs = fastest();
    let got = -EAGAIN;
    for (const endMs = performance.now() + 10_000; got !== 0 && performance.now() < endMs;) got = flockTry(other, LOCK_EX | LOCK_NB); // others close VMs too
    assert.equal(got, 0, 'nobody has the turn afterwards');
    const ms = fastest();
    assert.ok(ms > freeMs + 0.9, `it waited: ${ms} ms instead of ${freeMs}`);
    assert.equal(flockTry(kvm().fd, LOCK_EX | LOCK_NB), -EAGAIN, 'and did not take it');
  } finally {
    closeSync(other);
  }
});
