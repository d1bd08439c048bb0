// GNU as (binutils), for tests that compare or record machine code.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The .text of AT&T source. Throws when `as` or `objcopy` is missing or the source is wrong. */
export function gnuAs(source: string): Uint8Array {
  const dir = mkdtempSync(join(tmpdir(), 'offshoot-as-'));
  try {
    writeFileSync(join(dir, 'a.s'), `${source}\n`);
    execFileSync('as', ['--64', '-o', join(dir, 'a.o'), join(dir, 'a.s')], { stdio: ['ignore', 'ignore', 'pipe'] });
    execFileSync('objcopy', ['-O', 'binary', '-j', '.text', join(dir, 'a.o'), join(dir, 'a.bin')]);
    return new Uint8Array(readFileSync(join(dir, 'a.bin')));
  } finally {
    rmSync(dir, { recursive: true });
  }
}
