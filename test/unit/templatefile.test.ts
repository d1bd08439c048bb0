// Template files on disk: what is written is read back; whatever is wrong with a file is a TemplateRefused, never a crash.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { HEADER_BYTES, TemplateRefused, readHeader, templateKey, verifyContent, writeContent, writeTemplate } from '../../src/engine/templatefile.ts';

const dir = mkdtempSync(join(tmpdir(), 'offshoot-file-'));
after(() => rmSync(dir, { recursive: true }));

const path = join(dir, 'a.template');
const key = templateKey(dir);
const memory = new Uint8Array(HEADER_BYTES + 8192).fill(3);
const state = new TextEncoder().encode('state');
const about = {
  kind: 'linux-user', name: 'a', imageId: 'i', fingerprint: 'f', builder: 'b', createdAt: '2026-01-01T00:00:00Z',
  specId: 's', env: {}, cwd: '/', random: [], shared: null, memoryLimitBytes: 0, about: { importMs: {}, modules: [], mappings: [], buildMs: 1 },
} as const;

function write(): Buffer {
  writeTemplate(path, key, (fd) => ({ ...about, ...writeContent(fd, memory, state) }));
  return readFileSync(path);
}

/** Reads a file as the engine does: header, then content. */
function read(): void {
  verifyContent(readHeader(path, key), readFileSync(path).subarray(HEADER_BYTES));
}

test('what is written is read back; the file is the owner\'s alone; nothing is left beside it', () => {
  write();
  const header = readHeader(path, key);
  assert.deepEqual({ ...header, sha256: '' }, { ...about, memoryBytes: memory.length, stateBytes: state.length, sha256: '' });
  read();
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(join(dir, 'template.key')).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(dir).sort(), ['a.template', 'template.key']);
});

test('a missing file and one of another kind', () => {
  rmSync(path, { force: true });
  assert.throws(read, (error) => error instanceof TemplateRefused && error.message === 'missing');
  writeFileSync(path, Buffer.alloc(HEADER_BYTES + 100));
  assert.throws(read, /not a template file/);
});

test('truncated anywhere: refused', () => {
  const size = write().length;
  for (const length of [0, 1, 47, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 4096, size - 1]) {
    write();
    truncateSync(path, length);
    assert.throws(read, (error) => error instanceof TemplateRefused && error.message === 'truncated', String(length));
  }
});

test('a flipped bit anywhere: refused', () => {
  const whole = write();
  const jsonEnd = 48 + whole.readUInt32LE(12);
  const places = [0, 8, 12, 13, 15, 16, 47, 48, 60, jsonEnd - 1, HEADER_BYTES, HEADER_BYTES + 5000, memory.length - 1, memory.length, whole.length - 1];
  for (const at of places) {
    const damaged = Buffer.from(whole);
    damaged[at] ^= 4;
    writeFileSync(path, damaged);
    assert.throws(read, TemplateRefused, `byte ${at}`);
  }
});

test('another key, another format, a longer file: refused', () => {
  const whole = write();
  assert.throws(() => readHeader(path, Buffer.alloc(32, 1)), /from another home/);
  const newer = Buffer.from(whole);
  newer.writeUInt32LE(2, 8);
  writeFileSync(path, newer);
  assert.throws(read, /written by another version/);
  writeFileSync(path, Buffer.concat([whole, Buffer.alloc(1)]));
  assert.throws(read, TemplateRefused);
});


test('the key is made once', () => {
  assert.deepEqual(templateKey(dir), key);
  assert.equal(key.length, 32);
});
