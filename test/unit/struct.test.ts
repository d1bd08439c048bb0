// Declared structs: offsets, padding, 64-bit kinds, and layouts against the C headers.

import test from 'node:test';
import assert from 'node:assert/strict';
import { addr, buffer, bytes, i32, i64, nested, off, struct, u16, u32, u64, u8 } from '../../src/abi/struct.ts';

test('offsets follow the declaration, accessors take the struct base', () => {
  const S = struct('s', 32, { a: u8, _pad: bytes(3), b: u32, c: u64, d: addr, e: i32, f: u16, g: u16 });
  assert.deepEqual(S.offset, { a: 0, _pad: 1, b: 4, c: 8, d: 16, e: 24, f: 28, g: 30 });
  const { view, u8: raw } = buffer(64);
  S.set.b(view, 8, 0xdead_beef);
  S.set.c(view, 8, 0x1122_3344_5566_7788n);
  S.set.d(view, 8, 0x7fff_ffff_f000);
  S.set.e(view, 8, -5);
  assert.equal(S.get.b(view, 8), 0xdead_beef);
  assert.equal(S.get.c(view, 8), 0x1122_3344_5566_7788n);
  assert.equal(S.get.d(view, 8), 0x7fff_ffff_f000);
  assert.equal(S.get.e(view, 8), -5);
  assert.equal(raw[12], 0xef);
  assert.equal(view.getBigUint64(24, true), 0x7fff_ffff_f000n);
});

test('64-bit numbers: negative offsets, rounding above 2^53', () => {
  const { view } = buffer(8);
  off.set(view, 0, -4096);
  assert.equal(view.getBigInt64(0, true), -4096n);
  assert.equal(off.get(view, 0), -4096);
  i64.set(view, 0, -1n);
  assert.equal(addr.get(view, 0), 2 ** 64);
});

test('structs nest and packed structs are allowed', () => {
  const Inner = struct('inner', 16, { x: u64, y: u64 });
  const Outer = struct('outer', 24, { head: u64, inner: nested(Inner) });
  const { view } = buffer(24);
  Outer.write(view, 0, { inner: { x: 1n, y: 2n } });
  assert.deepEqual(Outer.read(view, 0), { head: 0n, inner: { x: 1n, y: 2n } });
  const Packed = struct('epoll_event', 12, { events: u32, data: u64 }, { alignMax: 1 });
  assert.equal(Packed.offset.data, 4);
});

test('mistakes are found when the struct is declared', () => {
  assert.throws(() => struct('bad', 12, { a: u32, b: u64 }), /not aligned/);
  assert.throws(() => struct('bad', 8, { a: u32 }), /add up to 4/);
  assert.throws(() => struct('bad', 9, { a: u64, b: u8 }), /not a multiple/);
});

test('bytes are a view when read, zero-filled when written short', () => {
  const S = struct('s', 8, { name: bytes(8) });
  const { view, u8: raw } = buffer(8);
  raw.fill(255);
  S.set.name(view, 0, new Uint8Array([1, 2]));
  assert.deepEqual([...raw], [1, 2, 0, 0, 0, 0, 0, 0]);
  S.get.name(view, 0)[7] = 9;
  assert.equal(raw[7], 9);
});
