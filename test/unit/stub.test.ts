// The machine code we put into guests is what its assembly says: everything is assembled again with GNU as and compared.
// Without `as` (binutils) only the shape is checked.

import test from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { CODE_WRITER } from '../../src/vmm/area.ts';
import * as L from '../../src/vmm/layout.ts';
import { ANSWERS, CWD_ANSWER, PATH_ANSWERS, SIGNAL_ANSWER } from '../../src/vmm/answercode.ts';
import { EXCEPTION_ENTRY, PTE_WRITER, SELFTEST_CODE, SYSCALL_STUB, TOUCHER, code, handlerPage } from '../../src/vmm/stub.ts';
import type { Listing } from '../../src/vmm/stub.ts';
import { WRITER_OUT, whoExited } from '../../src/vmm/trap.ts';
import { gnuAs } from '../kvm/gnuas.ts';

const hasAs = spawnSync('as', ['--version']).status === 0 && spawnSync('objcopy', ['--version']).status === 0;
const options = hasAs ? {} : { skip: 'GNU as is not installed' };
const source = (listing: Listing): string => listing.map(([line]) => line).join('\n');

const LISTINGS: Record<string, Listing> = {
  SYSCALL_STUB, ANSWERS, PATH_ANSWERS, CWD_ANSWER, SIGNAL_ANSWER, EXCEPTION_ENTRY, PTE_WRITER, TOUCHER, ...SELFTEST_CODE,
};

for (const [name, listing] of Object.entries(LISTINGS)) {
  test(`${name} is what its assembly says`, options, () => {
    assert.deepEqual(code(listing), gnuAs(source(listing)));
  });
}

test('the code of the tests is what its assembly says', options, () => {
  const assembled = JSON.parse(readFileSync(new URL('../kvm/assembled.json', import.meta.url), 'utf8')) as Record<string, string>;
  const sources = Object.keys(assembled);
  // One run of as for all: each piece padded to a page of its own.
  const image = gnuAs(sources.map((text) => `.balign 4096, 0xcc\n${text}`).join('\n'));
  let at = 0;
  for (const text of sources) {
    const want = Buffer.from(assembled[text], 'hex');
    assert.deepEqual(Buffer.from(image.subarray(at, at + want.length)).toString('hex'), assembled[text], text);
    at += Math.ceil(want.length / 4096) * 4096;
  }
});

test('every vector has an entry, and RIP behind it tells which', () => {
  const page = handlerPage();
  assert.equal(page.length, L.VECTOR_COUNT * L.HANDLER_STRIDE);
  for (let vector = 0; vector < L.VECTOR_COUNT; vector++) {
    assert.deepEqual([...page.subarray(vector * L.HANDLER_STRIDE, vector * L.HANDLER_STRIDE + 3)], [0xe6, L.PORT, 0xf4]);
    for (const past of [0, 2]) assert.equal(whoExited(L.HANDLER_LOW + vector * L.HANDLER_STRIDE + past, L.SUPER_PAGES_HIGH), vector);
  }
});

test('the writer\'s out is where the decoder expects it', () => {
  const bytes = code(PTE_WRITER);
  assert.deepEqual([...bytes.subarray(WRITER_OUT, WRITER_OUT + 2)], [0xe6, L.PORT]);
  assert.equal(whoExited(L.CODE_LOW + CODE_WRITER + WRITER_OUT, L.SUPER_PAGES_HIGH), -3);
  assert.equal(whoExited(L.CODE_LOW + CODE_WRITER + 5, L.SUPER_PAGES_HIGH), -4);
});
