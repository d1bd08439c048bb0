// The vDSO: the generated image is what vdso.c builds to, has the shape glibc insists on, and tells the time.
// What needs gcc is skipped, by name, where there is none.

import test from 'node:test';
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VDSO_IMAGE, VDSO_MONOTONIC_OFFSET_AT, VDSO_VVAR_ADDRESS_AT, VDSO_VVAR_GVA } from '../../src/guest/vdso.ts';
import { buildVdso } from '../../tools/vdso.ts';

const HAS_GCC = spawnSync('gcc', ['--version']).status === 0 && spawnSync('ld', ['--version']).status === 0;
const NEEDS_GCC = HAS_GCC ? {} : { skip: 'gcc or ld is missing' };
const PT_LOAD = 1;
const PT_DYNAMIC = 2;
const DT_HASH = 4n;
const DT_RELOCATION_TAGS = [7n, 17n, 23n, 36n];
const FUNCTIONS = ['clock_gettime', 'gettimeofday', 'time', 'clock_getres', 'getcpu'];

interface Segment { type: number; flags: number; offset: number; gva: number; fileSize: number; memorySize: number }

function segments(image: Uint8Array): Segment[] {
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  const at = Number(view.getBigUint64(32, true));
  return Array.from({ length: view.getUint16(56, true) }, (_, i) => {
    const u64 = (field: number): number => Number(view.getBigUint64(at + i * 56 + field, true));
    return { type: view.getUint32(at + i * 56, true), flags: view.getUint32(at + i * 56 + 4, true), offset: u64(8), gva: u64(16),
      fileSize: u64(32), memorySize: u64(40) };
  });
}

function dynamicTags(image: Uint8Array): bigint[] {
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  const segment = segments(image).find(({ type }) => type === PT_DYNAMIC);
  assert.ok(segment);
  return Array.from({ length: segment.fileSize / 16 }, (_, i) => view.getBigUint64(segment.offset + i * 16, true));
}

test('the image is one PT_LOAD at 0, readable and executable, in at most two pages', () => {
  const loads = segments(VDSO_IMAGE).filter(({ type }) => type === PT_LOAD);
  assert.equal(loads.length, 1);
  const [load] = loads;
  assert.deepEqual([load.offset, load.gva, load.flags, load.fileSize], [0, 0, 5, load.memorySize]);
  assert.ok(VDSO_IMAGE.length <= 8192 && load.memorySize <= VDSO_IMAGE.length);
});

test('it has DT_HASH and no relocations', () => {
  const tags = dynamicTags(VDSO_IMAGE);
  assert.ok(tags.includes(DT_HASH));
  for (const tag of DT_RELOCATION_TAGS) assert.ok(!tags.includes(tag), `tag ${tag}`);
});

test('the words of the kernel are where the constants say', () => {
  const view = new DataView(VDSO_IMAGE.buffer, VDSO_IMAGE.byteOffset, VDSO_IMAGE.length);
  assert.equal(view.getBigInt64(VDSO_MONOTONIC_OFFSET_AT, true), 0n);
  assert.equal(view.getBigUint64(VDSO_VVAR_ADDRESS_AT, true), BigInt(VDSO_VVAR_GVA));
});

/** Runs `use` with a private directory that holds the image as vdso.so. */
function withImage(image: Uint8Array, use: (dir: string) => void): void {
  const dir = mkdtempSync(join(tmpdir(), 'vdso-test-'));
  try {
    writeFileSync(join(dir, 'vdso.so'), image);
    use(dir);
  } finally {
    rmSync(dir, { recursive: true });
  }
}

function checkTime(image: Uint8Array, wordsAt: number): void {
  withImage(image, (dir) => {
    const program = join(dir, 'check');
    execFileSync('gcc', ['-O1', '-pthread', '-o', program, new URL('guest/vdso-check.c', import.meta.url).pathname]);
    const run = spawnSync(program, [join(dir, 'vdso.so'), String(wordsAt), String(wordsAt + 8)], { encoding: 'utf8', timeout: 20_000 });
    assert.deepEqual([run.stdout, run.status], ['ok\n', 0]);
  });
}

test('it tells the time, natively, with a vvar page of the test', NEEDS_GCC, () => {
  assert.equal(VDSO_VVAR_ADDRESS_AT, VDSO_MONOTONIC_OFFSET_AT + 8);
  checkTime(VDSO_IMAGE, VDSO_MONOTONIC_OFFSET_AT);
});

test('what vdso.c builds to now has the same symbols, the same shape, and tells the time', NEEDS_GCC, () => {
  const built = buildVdso();
  const symbols = (image: Uint8Array): string[] => {
    let names: string[] = [];
    withImage(image, (dir) => {
      const table = execFileSync('readelf', ['--dyn-syms', '-W', join(dir, 'vdso.so')], { encoding: 'utf8' });
      names = [...table.matchAll(/ (FUNC) +(GLOBAL|WEAK) .* (\S+@@LINUX_2\.6)$/gm)].map((m) => `${m[2]} ${m[3]}`).sort();
    });
    return names;
  };
  const expected = FUNCTIONS.flatMap((name) => [`GLOBAL __vdso_${name}@@LINUX_2.6`, `WEAK ${name}@@LINUX_2.6`]).sort();
  assert.deepEqual(symbols(VDSO_IMAGE), expected);
  assert.deepEqual(symbols(built.image), expected);
  assert.equal(built.wordsAt, VDSO_MONOTONIC_OFFSET_AT);
  checkTime(built.image, built.wordsAt);
});
