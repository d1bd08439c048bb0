// Frames: in which order free ones are used again, and what of that is saved.

import test from 'node:test';
import assert from 'node:assert/strict';
import { Frames } from '../../../src/kernel/mm/frames.ts';
import { FakeMemory } from '../fakemachine.ts';

const PAGE = 4096;

/** Frames as a fork has them: `used` were in use when it was made, `free` of them were not. */
function forked(used: number, free: number, limitBytes = 4 << 20): { frames: Frames; gpas: number[]; memory: FakeMemory } {
  const memory = new FakeMemory(limitBytes);
  const first = new Frames(memory);
  const gpas = Array.from({ length: used + free }, () => first.alloc());
  for (const gpa of gpas.splice(used).reverse()) first.unref(gpa);
  first.zeroFreeFrames();
  return { frames: Frames.restore(first.save(), memory), gpas, memory };
}

test('a fork uses its own free frames first, then new ones, then those of its template', () => {
  const { frames, gpas, memory } = forked(3, 1);
  memory.u8.fill(7, gpas[0], gpas[0] + PAGE);
  for (const gpa of gpas) frames.unref(gpa);
  const known = new Set(gpas);
  const own = frames.alloc();
  assert.ok(!known.has(own));
  frames.unref(own);
  assert.equal(frames.alloc(), own);
  const free = frames.freePages;
  const rest = Array.from({ length: free }, () => frames.alloc());
  assert.deepEqual(rest.slice(-3).sort(), [...gpas].sort());
  assert.ok(frames.bytes(gpas[0]).every((byte) => byte === 0));
  assert.equal(frames.alloc(), 0);
  assert.ok(frames.exhausted);
});

test('what is free is counted, saved and zeroed wherever it comes from', () => {
  const { frames, gpas, memory } = forked(4, 2);
  const before = frames.freePages;
  memory.u8.fill(7, gpas[0], gpas[0] + PAGE);
  frames.unref(gpas[0]);
  const own = frames.alloc();
  memory.u8.fill(9, own, own + PAGE);
  frames.unref(own);
  assert.equal(frames.freePages, before + 1);
  const state = frames.save();
  assert.equal(state.free.length, 3);
  assert.deepEqual([...state.refs].filter((count) => count > 1), []);
  assert.equal(Frames.restore(state, memory).freePages, before + 1);
  frames.zeroFreeFrames();
  assert.ok(frames.bytes(gpas[0]).every((byte) => byte === 0) && frames.bytes(own).every((byte) => byte === 0));
  assert.equal(frames.freePages, before + 1);
});

test('a program that takes many frames has them provided in batches', () => {
  const { frames, memory } = forked(1, 900);
  const provided: number[] = [];
  memory.willWrite = (gpa: number, sizeBytes: number): void => {
    provided.push(gpa, sizeBytes);
  };
  const taken: number[] = [];
  for (let i = 0; i < 256; i++) taken.push(frames.alloc());
  assert.deepEqual(provided, []);
  for (let i = 0; i < 500; i++) taken.push(frames.alloc());
  assert.ok(provided.length >= 4);
  for (let i = 0; i < provided.length; i += 2) {
    assert.equal(provided[i + 1] % PAGE, 0);
    const at = taken.indexOf(provided[i]);
    for (let k = 0; k < provided[i + 1] / PAGE && at + k < taken.length; k++) assert.equal(taken[at + k], provided[i] + k * PAGE);
  }
});
