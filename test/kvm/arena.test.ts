// Address space: regions do not touch, what lies between is never mapped, and what is given back is gone.

import test from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { Arena } from '../../src/host/arena.ts';
import { MAP_ANONYMOUS, MAP_FIXED, MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../../src/abi/linux/host.ts';
import { mmap } from '../../src/host/libc.ts';
import { REG } from '../../src/platform.ts';
import { CODE, DATA, Guest, RW, assemble, kvm } from './guest.ts';

/** Permissions of the mapping that holds `hva` (proc(5)). */
function permissions(hva: number): string {
  for (const line of readFileSync('/proc/self/maps', 'utf8').split('\n')) {
    const match = /^([0-9a-f]+)-([0-9a-f]+) (\S+)/.exec(line);
    if (match !== null && parseInt(match[1], 16) <= hva && hva < parseInt(match[2], 16)) return match[3];
  }
  return '';
}

test('a region has closed guards on both sides', () => {
  const arena = new Arena();
  const regions = [arena.take(4096), arena.take(100_000), arena.take(2 ** 20)];
  for (const region of regions) {
    assert.equal(region.sizeBytes % 4096, 0);
    mmap(region.hva, region.sizeBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  }
  for (const region of regions) {
    assert.equal(permissions(region.hva), 'rw-p');
    assert.equal(permissions(region.hva + region.sizeBytes - 1), 'rw-p');
    assert.equal(permissions(region.hva - 1), '---p');
    assert.equal(permissions(region.hva + region.sizeBytes), '---p');
    assert.equal(permissions(region.hva + region.sizeBytes + 60_000), '---p');
  }
});

test('a region given back is unmapped, and taken again is empty', () => {
  const arena = new Arena();
  const region = arena.take(8192);
  mmap(region.hva, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  new Uint8Array(region.buffer, region.byteOffset, 8192).fill(5);
  arena.release(region);
  assert.equal(permissions(region.hva), '---p');
  assert.equal(arena.take(8192), region);
  mmap(region.hva, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  assert.deepEqual(new Uint8Array(region.buffer, region.byteOffset, 8192), new Uint8Array(8192));
});

test('a page table that leads behind guest memory leads nowhere: not to the neighbour', () => {
  const LIMIT = 32 * 2 ** 20, MARK = 0x5e;
  const readAndWrite = assemble('mov 0x600000,%rbx; movq $7,0x600000; syscall');
  for (const inLayers of [false, true]) {
    const guests = [0, 1, 2].map(() => Guest.make(kvm(), LIMIT));
    const [guest, ...others] = guests.sort((a, b) => a.machine.memory.hva - b.machine.memory.hva);
    const { memory } = guest.machine;
    const own = others.map(({ machine: { memory: { u8, firstFrame } } }) => u8.subarray(firstFrame).fill(MARK));
    memory.growsInLayers = inLayers;
    memory.grow(memory.sizeBytes + 4096);
    const distances = others.map((other) => other.machine.memory.hva - memory.hva);
    const c = guest.load(readAndWrite);
    const access = (gpa: number): string => {
      guest.space.map(DATA, gpa, RW);
      c.regs[REG.rip] = BigInt(CODE);
      c.regs[REG.rbx] = 0n;
      const { kind } = guest.run(c);
      guest.space.unmap(DATA, 4096);
      return kind;
    };
    assert.equal(access(memory.sizeBytes - 4096), 'syscall', 'the last page is there');
    assert.equal(memory.view.getUint32(memory.sizeBytes - 4096, true), 7);
    for (const gpa of [memory.sizeBytes, memory.sizeBytes + 4096, LIMIT - 4096, LIMIT, LIMIT + 65_536, ...distances, ...distances.map((at) => at + 2 ** 20)]) {
      if (gpa < memory.sizeBytes) continue;
      const kind = access(gpa);
      assert.ok(kind === 'mmio' || kind === 'failed', `gpa 0x${gpa.toString(16)}: ${kind}`);
      assert.equal(c.regs[REG.rbx], 0n);
      if (kind === 'mmio') guest.machine.abandonExit();
    }
    for (const bytes of own) assert.ok(bytes.every((byte) => byte === MARK));
    for (const each of guests) each.machine.destroy();
  }
});

test('guest memory ends at a guard; machines give everything back', () => {
  const code = assemble('1: syscall; jmp 1b');
  const once = (): void => {
    const guest = Guest.make(kvm(), 32 * 2 ** 20);
    assert.equal(permissions(guest.machine.memory.hva + guest.machine.memory.sizeBytes), '---p');
    guest.machine.memory.grow(32 * 2 ** 20);
    assert.equal(permissions(guest.machine.memory.hva + 32 * 2 ** 20), '---p');
    assert.equal(guest.run(guest.load(code)).kind, 'syscall');
    guest.machine.destroy();
    guest.machine.destroy(); // twice does no harm
  };
  once();
  const ours = (): number => readFileSync('/proc/self/maps', 'utf8').match(/kvm-vcpu|offshoot-area/g)?.length ?? 0;
  const count = (): [number, number] => [readdirSync('/proc/self/fd').length, ours()];
  const [fds, maps] = count();
  for (let i = 0; i < 20; i++) once();
  const [fdsAfter, mapsAfter] = count();
  assert.equal(fdsAfter, fds);
  assert.equal(mapsAfter, maps);
});
