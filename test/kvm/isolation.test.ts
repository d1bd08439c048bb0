// Ring 3 attacks the machine: each attempt must become a trap the kernel can turn into a signal, never a confused kernel.

import test from 'node:test';
import assert from 'node:assert/strict';
import { PAGE_READ, PAGE_WRITE, REG } from '../../src/platform.ts';
import type { Context, Trap } from '../../src/platform.ts';
import { CODE, DATA, Guest, RW, assemble, context, kvm } from './guest.ts';

const GP: Trap = { kind: 'exception', vector: 13, errorCode: 0, address: 0 };
const UD: Trap = { kind: 'exception', vector: 6, errorCode: 0, address: 0 };

/** Runs `source` until its first trap. */
function attack(source: string): { trap: Trap; c: Context } {
  const guest = Guest.make(kvm());
  const c = guest.load(assemble(source));
  const trap = guest.run(c);
  guest.machine.destroy();
  return { trap, c };
}

test('a forged exit is a general protection fault at the instruction', () => {
  const cases: [string, number][] = [
    ['nop; out %al,$0x7e', 1],
    ['mov $0x7e,%edx; out %al,%dx', 5],
    ['mov $0x7e,%edx; out %ax,%dx', 5],
    ['mov $0x7e,%edx; out %eax,%dx', 5],
    ['mov $7,%eax; in $0x7e,%al', 5],
    ['mov $0x7e,%edx; mov $0x6ffff000,%edi; insb', 10],
    ['mov $0x7e,%edx; mov $100,%ecx; mov $0x6ffff000,%esi; rep outsb', 15],
    ['out %al,$0x80', 0],
    ['out %al,$0x7d', 0],
    ['out %al,$0x7f', 0],
  ];
  for (const [source, offset] of cases) {
    const { trap, c } = attack(source);
    assert.deepEqual(trap, GP, source);
    assert.equal(Number(c.regs[REG.rip]), CODE + offset, source);
  }
});

test('after a forged exit the program goes on undamaged', () => {
  const guest = Guest.make(kvm());
  const c = guest.load(assemble('mov $0x55,%eax; in $0x7e,%al; mov $0x66,%ebx; out %al,$0x7e; syscall'));
  assert.deepEqual(guest.run(c), GP);
  c.regs[REG.rip] += 2n; // as a SIGSEGV handler may do
  assert.deepEqual(guest.run(c), GP);
  assert.equal(c.regs[REG.rax], 0x55n);
  assert.equal(c.regs[REG.rbx], 0x66n);
  c.regs[REG.rip] += 2n;
  assert.deepEqual(guest.run(c), { kind: 'syscall' });
  guest.machine.destroy();
});

test('a repeated port instruction is not finished in another context', () => {
  const cases = [['rep insb', 'rdi'], ['rep insl', 'rdi'], ['rep outsb', 'rsi'], ['insb', 'rdi'], ['outsl', 'rsi']] as const;
  for (const [instruction, register] of cases) {
    const guest = Guest.make(kvm());
    const c = guest.load(assemble(`mov $0x7e,%edx; mov $-1,%rcx; mov $0x600000,%${register}; ${instruction}`));
    const victim = context(0x50_0000);
    guest.page(0x50_0000, 5, assemble('1: syscall; jmp 1b'));
    const data = guest.page(DATA, RW, new Uint8Array(4096).fill(7));
    const other = guest.page(0x70_0000, RW, new Uint8Array(4096).fill(9));
    const before = victim.regs.map((_, i) => (i < REG.rip ? 0x70_0000n + BigInt(i) : victim.regs[i]));
    victim.regs.set(before);
    for (let i = 0; i < 3; i++) {
      c.regs[REG.rip] = BigInt(CODE);
      assert.deepEqual(guest.run(c), GP, instruction);
      assert.deepEqual(guest.run(victim), { kind: 'syscall' });
      for (let r = 0; r < REG.rip; r++) if (r !== REG.rcx && r !== REG.r11) assert.equal(victim.regs[r], before[r], instruction);
      assert.ok(guest.machine.memory.u8.subarray(other, other + 4096).every((byte) => byte === 9), instruction);
    }
    assert.equal(guest.machine.memory.u8[data + 4095], 7);
    guest.machine.destroy();
  }
});

test('jumping into the stub page is a signal, whatever is in RCX and R11', () => {
  for (const rcx of ['0x400000', '0xffff800000000000', '0x7ffffffff800', '0x8000000000000000', '0']) {
    const { trap } = attack(`movabs $${rcx},%rcx; mov $-1,%r11; mov $0x7ffffffff800,%rdx; jmp *%rdx`);
    assert.equal(trap.kind, 'exception', rcx);
    assert.ok(trap.kind === 'exception' && [3, 13, 14].includes(trap.vector)); // 3: on hardware no stub is there
  }
  for (const offset of [1, 2, 3, 4, 64, 2046, -2, -2048]) {
    const { trap } = attack(`mov $0x7ffffffff800+${offset},%rdx; jmp *%rdx`);
    assert.equal(trap.kind, 'exception', `offset ${offset}`);
  }
});

test('a loop inside the time page can be kicked', () => {
  const guest = Guest.make(kvm());
  const c = guest.load(assemble('mov $0x7ffffffff100,%rdx; jmp *%rdx'));
  kvm().area.vvar.setUint16(0x100, 0xfeeb, true); // jmp to itself, as clock values may happen to read
  const isPvm = kvm().kind === 'pvm'; // on hardware nothing in that page can be run
  for (let i = 0; i < 3; i++) assert.equal(guest.run(c, isPvm ? 1e6 : 0).kind, isPvm ? 'kick' : 'exception');
  kvm().area.vvar.setUint16(0x100, 0, true);
  guest.machine.destroy();
});

test('a system call with a stack pointer that is no address is a system call', () => {
  for (const rsp of [0n, 0x8000_0000_0000_0000n, 0xffff_8001_0000_5000n, 0x7fff_ffff_f800n, 0xffff_ffff_ffff_ffffn]) {
    const guest = Guest.make(kvm());
    const c = guest.load(assemble('1: syscall; jmp 1b'));
    c.regs[REG.rsp] = rsp;
    for (let i = 0; i < 3; i++) {
      assert.deepEqual(guest.run(c), { kind: 'syscall' });
      assert.equal(c.regs[REG.rsp], rsp);
      assert.equal(Number(c.regs[REG.rip]), CODE + 2);
    }
    guest.machine.destroy();
  }
});

test('odd flags at a system call are harmless and come back', () => {
  for (const [bit, name] of [[0x100, 'TF'], [0x400, 'DF'], [0x4000, 'NT'], [0x4_0000, 'AC'], [0x20_0000, 'ID']] as const) {
    const guest = Guest.make(kvm());
    const c = guest.load(assemble(`pushf; orl $${bit},(%rsp); popf; syscall; nop; ud2`));
    assert.deepEqual(guest.run(c), { kind: 'syscall' }, name);
    assert.equal(Number(c.regs[REG.rflags]) & bit, bit, name);
    assert.equal(Number(c.regs[REG.rip]), CODE + 11, name);
    const next = guest.run(c);
    if (bit === 0x100) assert.deepEqual(next, { kind: 'exception', vector: 1, errorCode: 0, address: 0 });
    else assert.deepEqual(next, UD, name);
    guest.machine.destroy();
  }
  const { trap, c } = attack('pushq $0x3000; popf; cli'); // IOPL cannot be had
  assert.deepEqual(trap, GP);
  assert.equal(Number(c.regs[REG.rflags]) & 0x3000, 0);
});

test('privileged instructions are faults', () => {
  const cases = [
    'cli', 'hlt', 'mov %cr3,%rax', 'mov %rax,%cr3', 'mov %rax,%cr0', 'mov %rax,%db7', 'rdmsr', 'wrmsr', 'invlpg (%rax)', 'lgdt 0x400000',
    'lidt 0x400000', 'ltr %ax', 'lmsw %ax', 'clts', 'swapgs', 'wbinvd', 'xsetbv', 'sysretq', 'sysexit', 'iretq',
  ];
  for (const source of cases) {
    const { trap } = attack(`mov $0x18,%eax; push %rax; ${source}`);
    assert.equal(trap.kind, 'exception', source);
    assert.ok(trap.kind === 'exception' && [6, 12, 13, 14].includes(trap.vector), `${source}: ${JSON.stringify(trap)}`);
  }
});

test('other ways into a kernel are faults', () => {
  for (const source of ['int $0x80', 'int $14', 'int $33', 'sysenter']) {
    const { trap, c } = attack(source);
    assert.ok(trap.kind === 'exception' && (trap.vector === 6 || trap.vector === 13), `${source}: ${JSON.stringify(trap)}`);
    // Behind `int n` when KVM had to deliver it a second time (AMD-V: a soft interrupt whose delivery met a nested page fault).
    assert.ok([CODE, CODE + 2].includes(Number(c.regs[REG.rip])), source);
  }
});

test('selectors other than ring 3\'s own are refused', () => {
  for (const selector of [0x08, 0x10, 0x18, 0x20, 0x23, 0x38, 0x40, 0x43, 0x53, 0xffff]) {
    for (const register of ['ds', 'es', 'fs', 'gs', 'ss']) {
      const { trap } = attack(`mov $${selector},%eax; mov %eax,%${register}`);
      assert.equal(trap.kind, 'exception', `${register} = ${selector}`);
    }
    const { trap } = attack(`push $${selector}; push $0x400000; lretq`);
    assert.equal(trap.kind, 'exception', `cs = ${selector}`);
  }
});

test('supervisor memory cannot be read, written or run', () => {
  const supervisor = ['0xffff800000000000', '0xffff800000010000', '0xffff800100000000', '0xffff800100002000', '0xffff800100003100'];
  for (const address of [...supervisor, '0xffffffff81000000']) {
    for (const source of ['mov (%rdx),%rax', 'mov %rax,(%rdx)', 'jmp *%rdx']) {
      const { trap } = attack(`movabs $${address},%rdx; ${source}`);
      assert.ok(trap.kind === 'exception' && trap.vector === 14, `${source} ${address}: ${JSON.stringify(trap)}`);
      assert.ok(trap.address >= 2 ** 63);
    }
  }
  for (const address of ['0x7ffffffff000', '0x7ffffffff800', '0x7fffffffe000']) {
    const { trap } = attack(`movabs $${address},%rdx; mov %rax,(%rdx)`);
    assert.ok(trap.kind === 'exception' && trap.vector === 14, `write to ${address}: ${JSON.stringify(trap)}`);
  }
});

test('the time page can be read, the kernel cannot map over it', () => {
  const guest = Guest.make(kvm());
  const c = guest.load(assemble('mov $0x7ffffffff000,%rdx; mov (%rdx),%rax; syscall'));
  assert.equal(guest.run(c).kind, 'syscall');
  for (const gva of [0x7fff_ffff_e000, 0x7fff_ffff_f000]) assert.equal(guest.space.map(gva, guest.frame(), RW), false);
  guest.space.unmap(0, 2 ** 47);
  assert.equal(guest.space.entry(0x7fff_ffff_f000), 0);
  guest.page(CODE, 5, assemble('mov $0x7ffffffff000,%rdx; mov (%rdx),%rax; syscall'));
  c.regs[REG.rip] = BigInt(CODE);
  assert.equal(guest.run(c).kind, 'syscall');
  guest.machine.destroy();
});

test('two machines do not see each other, and a freed region is empty again', () => {
  const make = (): Guest => {
    const guest = Guest.make(kvm());
    guest.load(assemble('mov 0x600000,%rbx; syscall'));
    guest.page(DATA, PAGE_READ | PAGE_WRITE);
    return guest;
  };
  const a = make();
  const b = make();
  a.machine.memory.u8.fill(0xaa, a.machine.memory.firstFrame + 2 ** 20);
  const c = context(CODE);
  b.run(c);
  assert.equal(c.regs[REG.rbx], 0n);
  a.machine.destroy();
  const again = make(); // takes the region a had
  assert.equal(again.machine.memory.u8.subarray(2 ** 21).every((byte) => byte === 0), true);
  again.machine.destroy();
  b.machine.destroy();
});
