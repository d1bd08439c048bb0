// Text that all forks share, in real VMs: it reads as the file, is nobody's to write, and what one changes is its own.

import assert from 'node:assert/strict';
import test from 'node:test';
import { readHeader, templateKey } from '../../src/engine/templatefile.ts';
import { templatePath } from '../../src/engine/home.ts';
import { py, pythonTemplate, testEngine, text } from './enginehelp.ts';

/** Finds the interpreter's mappings that lie in shared text: `areas` of (start, end, protection, file offset); `exe` its file. */
const FIND = `
import ctypes, hashlib, os, signal, sys
LARGE = 1 << 21
areas = []
for line in open("/proc/self/maps"):
    fields = line.split()
    if len(fields) == 6 and fields[5] == os.path.realpath("/proc/self/exe") and fields[1].startswith("r-"):
        start, end = (int(x, 16) for x in fields[0].split("-"))
        areas.append((start, end, fields[1], int(fields[2], 16)))
areas = [a for a in areas if a[0] - a[3] == areas[0][0] - areas[0][3]] # not what is read-only after relocation
exe = open("/proc/self/exe", "rb").read()
first = (areas[0][0] + LARGE - 1) // LARGE * LARGE
libc = ctypes.CDLL(None, use_errno=True)
libc.mprotect.argtypes = libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
def wrong():
    return [hex(s) for s, e, p, o in areas if ctypes.string_at(s, e - s)[:len(exe) - o] != exe[o:o + e - s]]
`;

test('the template has shared text', async () => {
  const engine = await testEngine();
  await pythonTemplate();
  const { shared } = readHeader(templatePath(engine.home, 'python'), templateKey(engine.home));
  assert.ok(shared && shared.sizeBytes > 0);
});

test('it reads as the file, and /proc/self/maps keeps the permissions', async () => {
  const result = await py(`${FIND}print(wrong(), sorted({p for s, e, p, o in areas}))`);
  assert.equal(text(result), "[] ['r--p', 'r-xp']\n", result.stderr.toString());
});

test('writing to it is SIGSEGV', async () => {
  const result = await py(`${FIND}print("so far", flush=True); ctypes.memset(first + 4096, 0, 1)`);
  assert.deepEqual([text(result), result.signal], ['so far\n', 'SIGSEGV']);
});

test('what a program changes after mprotect is its own, around it all is as before', async () => {
  const code = `${FIND}
page = first + 5 * 4096
old = ctypes.string_at(page, 4096)
assert libc.mprotect(page, 4096, 3) == 0
ctypes.memset(page, 0x90, 4096)
changed = ctypes.string_at(page, 4096) == b"\\x90" * 4096
ctypes.memmove(page, old, 4096)
assert libc.mprotect(page, 4096, 5) == 0
print(changed, wrong())
assert libc.mprotect(page, 4096, 3) == 0
ctypes.memset(page, 0xcc, 4096)
os.write(1, b"left changed\\n")
os._exit(0)
`;
  for (let i = 0; i < 3; i++) assert.equal(text(await py(code)), 'True []\nleft changed\n');
  assert.equal(text(await py(`${FIND}print(wrong())`)), '[]\n');
});

test('a child of fork(2) has it too, and both change it apart', async () => {
  const result = await py(`${FIND}
page = first + 7 * 4096
pid = os.fork()
if pid == 0:
    libc.mprotect(page, 4096, 3)
    old = ctypes.string_at(page, 4096)
    ctypes.memset(page, 1, 4096)
    ok = ctypes.string_at(page, 4096) == b"\\x01" * 4096
    ctypes.memmove(page, old, 4096)
    os._exit(0 if ok and not wrong() else 1)
print(os.waitpid(pid, 0)[1], wrong())`);
  assert.equal(text(result), '0 []\n', result.stderr.toString());
});

test('the kernel reads it for a system call', async () => {
  const result = await py(`${FIND}
sent = libc.write(1, ctypes.c_void_p(first), 3 * 4096)
sys.stderr.write(str(sent))`);
  assert.equal(result.stderr.toString(), String(3 * 4096));
  assert.equal(result.stdout.length, 3 * 4096);
});
