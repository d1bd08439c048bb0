// What a worker says is checked field by field: a guest may have taken it over.

import assert from 'node:assert/strict';
import test from 'node:test';
import { BadMessage, checkedMessage } from '../../src/engine/inbound.ts';

const END = {
  exitCode: 0, signal: null, limit: null, reason: null, limitsMet: ['files', 'tenant.diskBytes'], pooled: false, rewound: false,
  forkTimeMs: 1, execTimeMs: 2, totalTimeMs: 3, begunMs: 7.5, cpuTimeMs: 0.5, dirtyPages: 4,
  syscalls: 5, unimplemented: { 'ioctl 1': 2 },
};

function end(change: object): unknown {
  return { type: 'end', call: 1, end: { ...END, ...change } };
}

const STATS = { memoryBytes: 1, diskBytes: 2, kernelMemoryBytes: 7, processes: 3, threads: 4, cpuTimeMs: 5.5, syscalls: 6 };
const ENTRY = { name: 'a', type: 'file', target: null, mtimeMs: 1.5, size: 3, mode: 0o644, uid: 1000, gid: 1000 };

function files(change: object): unknown {
  return { type: 'files', call: 1, answer: { handle: 2, isEnd: true, cookie: 3, entries: [{ ...ENTRY, ...change }] } };
}

test('good messages pass unchanged', () => {
  for (const message of [
    end({}), end({ exitCode: 137, signal: 'SIGRT_3', limit: 'memory', reason: 'full.' }), { type: 'output', sandbox: 1, stream: 2 },
    { type: 'trace', sandbox: 7 }, { type: 'done', call: 2 }, { type: 'error', call: 2, code: 'kvm-missing', message: 'It is not there.' },
    { type: 'layers', bytes: 2 ** 40 },
    { type: 'fits', call: 1, fits: false }, end({ contextLost: true, contextFresh: false }), { type: 'started', call: 1, pid: 300 },
    { type: 'signalled', call: 1, isAlive: true }, { type: 'tail', call: 1, stream: 0, at: 5 },
    { type: 'over', sandbox: 1, limit: 'cpu', reason: 'used up.' },
    files({}), files({ name: 'é\n\x1b', type: 'symlink', target: '../x\n' }), { type: 'measured', call: 1, stats: STATS },
    { type: 'error', call: 2, code: 'file-error', message: 'ENOENT', errno: 'ENOENT' },
    { type: 'selftest', call: 1, report: { kind: 'pvm', checks: [{ name: 'n', ok: true, detail: '' }], confinement: [{ name: 'n', on: true, detail: '' }] } },
  ]) {
    assert.deepEqual(checkedMessage(message, 0), message);
  }
});

test('what does not belong to a message is left behind', () => {
  const message = { ...(end({ __proto__: null, more: 1 }) as object), other: 'x' };
  assert.deepEqual(checkedMessage(message, 0), end({}));
});

test('bad messages are refused', () => {
  const many = Object.fromEntries(Array.from({ length: 1001 }, (_, i) => [String(i), 1]));
  for (const message of [
    null, 1, 'x', [], {}, { type: 'other' }, { type: '__proto__' }, { type: 'output', sandbox: -1, stream: 1 },
    { type: 'output', sandbox: '1', stream: 1 }, { type: 'done', call: 1.5 }, { type: 'done' }, { type: 'done', call: 2 ** 53 },
    { type: 'end', call: 1, end: null }, { type: 'end', call: 1, end: [] }, end({ exitCode: 256 }), end({ exitCode: null }),
    end({ signal: 'SIGSEGV\n' }), end({ signal: 9 }), end({ limit: 'none' }), end({ limit: undefined }), end({ reason: 7 }),
    end({ execTimeMs: null }), end({ execTimeMs: -1 }), end({ cpuTimeMs: '1' }), end({ dirtyPages: -1 }), end({ unimplemented: null }),
    end({ unimplemented: { a: 'b' } }), end({ unimplemented: many }), { type: 'error', call: 1, code: 'internal', message: {} },
    files({ name: 'a/b' }), files({ name: 'a\0' }), files({ name: 'x'.repeat(256) }), files({ type: 'other' }), files({ size: -1 }), files({ size: NaN }),
    files({ mtimeMs: Infinity }),
    files({ mtimeMs: 1e16 }), files({ size: Infinity }), end({ begunMs: Infinity }), files({ target: 7 }),
    files({ uid: '0' }), { type: 'files', call: 1, answer: { handle: 1, cookie: 0, entries: 'x' } },
    { type: 'files', call: 1, answer: { handle: 1, cookie: 0, entries: Array.from({ length: 1001 }, () => ENTRY) } },
    { type: 'measured', call: 1, stats: { ...STATS, processes: -1 } }, { type: 'over', sandbox: 1, limit: 'x', reason: '' },
    { type: 'started', call: 1, pid: null }, { type: 'layers', bytes: -1 }, { type: 'layers' },
    { type: 'tail', call: 1, stream: 1, at: -1 }, { type: 'error', call: 2, code: 'file-error', message: '', errno: 'E\n' },
    { type: 'selftest', call: 1, report: { kind: 'pvm', checks: 1 } }, { type: 'fits', fits: true },
  ]) {
    assert.throws(() => checkedMessage(message, 0), BadMessage, JSON.stringify(message));
  }
  assert.throws(() => checkedMessage({ type: 'output', sandbox: 1, stream: 1 }, 1 << 20), BadMessage);
});

test('text has no control characters and an end; codes are ours', () => {
  const message = checkedMessage({ type: 'error', call: 1, code: 'my-own', message: `\x1b[2J\x9bx\n${'y'.repeat(9999)}` }, 0);
  assert.ok(message.type === 'error');
  assert.equal(message.code, 'internal');
  assert.match(message.message, /^\?\[2J\?x\ny+$/);
  assert.equal(message.message.length, 4096);
});
