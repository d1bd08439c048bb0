// A static program, from an image that holds nothing else: ELF loading, system calls, exit, without an interpreter.

import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { KvmHost } from '../../src/engine/kvmhost.ts';
import { runToEnd } from '../../src/engine/oneshot.ts';
import { packDirectory } from '../../src/image/images.ts';

const BASE = 0x40_0000;
const HEADERS_BYTES = 64 + 56;

/** An executable of one segment: ELF header, one PT_LOAD, then `code`, entered at its first byte (elf(5)). */
function elf(code: Uint8Array): Uint8Array {
  const file = new Uint8Array(HEADERS_BYTES + code.length);
  const view = new DataView(file.buffer);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true); // ET_EXEC
  view.setUint16(18, 62, true); // EM_X86_64
  view.setUint32(20, 1, true);
  view.setUint32(24, BASE + HEADERS_BYTES, true); // e_entry
  view.setUint32(32, 64, true); // e_phoff
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true); // e_phnum
  view.setUint32(64, 1, true); // PT_LOAD
  view.setUint32(68, 5, true); // readable, executable
  view.setUint32(64 + 16, BASE, true); // p_vaddr
  view.setUint32(64 + 32, file.length, true); // p_filesz
  view.setUint32(64 + 40, file.length, true); // p_memsz
  view.setUint32(64 + 48, 0x1000, true); // p_align
  file.set(code, HEADERS_BYTES);
  return file;
}

/** write(1, message, length); exit_group(7). */
const MESSAGE = new TextEncoder().encode('a static program\n');
const PROGRAM = elf(new Uint8Array([
  0xb8, 1, 0, 0, 0, //           mov $1, %eax
  0x89, 0xc7, //                 mov %eax, %edi
  0x48, 0x8d, 0x35, 19, 0, 0, 0, // lea message(%rip), %rsi
  0xba, MESSAGE.length, 0, 0, 0, // mov $length, %edx
  0x0f, 0x05, //                 syscall
  0xb8, 231, 0, 0, 0, //         mov $231, %eax
  0xbf, 7, 0, 0, 0, //           mov $7, %edi
  0x0f, 0x05, //                 syscall
  ...MESSAGE,
]));

test('a static program writes and exits', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'offshoot-static-'));
  try {
    mkdirSync(join(dir, 'root'));
    writeFileSync(join(dir, 'root/program'), PROGRAM, { mode: 0o755 });
    const image = await packDirectory(join(dir, 'root'), { home: dir });
    let stdout = '';
    const result = runToEnd(KvmHost.open(dir), image.id, {
      argv: ['/program'], memoryBytes: 64 << 20, outputBytes: 4096, uid: 0, stdin: new Uint8Array(), onStdout: (bytes) => stdout += String(Buffer.from(bytes)),
    });
    assert.deepEqual(
      { stdout, stderr: result.stderr, exitCode: result.exitCode },
      { stdout: 'a static program\n', stderr: '', exitCode: 7 },
    );
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
