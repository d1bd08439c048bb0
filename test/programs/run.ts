// Runs programs by hand: node test/programs/run.ts [--native] [--print] [NAME-PATTERN]
// Natively and in a sandbox, printing the lines that differ, both times, and what is not implemented. --native: natively twice.
// SIDES_STRACE=FILE writes a trace of the sandbox.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadCases, type Outcome, Sides } from './cases.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true, options: { native: { type: 'boolean' }, print: { type: 'boolean' } },
});
const pattern = new RegExp(positionals[0] ?? '.');
const DIFFERENCE_CHARS = 6000;

function text({ stdout, stderr, exitCode }: Outcome): string {
  return `${stdout}\n--- stderr\n${stderr}\n--- exit code ${exitCode}\n`;
}

/** diff(1) of two outcomes; '' when they are equal. */
function difference(expected: Outcome, actual: Outcome): string {
  const dir = mkdtempSync(join(tmpdir(), 'programs-'));
  try {
    writeFileSync(`${dir}/native`, text(expected));
    writeFileSync(`${dir}/sandbox`, text(actual));
    execFileSync('diff', ['-a', '-U1', 'native', 'sandbox'], { cwd: dir, stdio: 'pipe' });
    return '';
  } catch (error) {
    return (error as { stdout: Buffer }).stdout.toString();
  } finally {
    rmSync(dir, { recursive: true });
  }
}

const sides = new Map<string, Sides>();
let failed = 0;
for (const one of loadCases().filter(({ name }) => pattern.test(name))) {
  const side = sides.get(one.image) ?? await Sides.open(one.image);
  sides.set(one.image, side);
  const native = await side.native(one);
  const other = values.native ? await side.native(one) : await side.sandbox(one);
  const found = difference(native.outcome, other.outcome);
  const isBroken = native.outcome.exitCode !== one.exitCode;
  if (found !== '' || isBroken) failed++;
  const ms = (timeMs: number): string => `${timeMs.toFixed(0)} ms`;
  console.log(`${found === '' && !isBroken ? 'ok  ' : 'FAIL'} ${one.name}  native ${ms(native.timeMs)}, sandbox ${ms(other.timeMs)}  ${other.notes}`);
  if (found !== '') console.log(found.slice(0, DIFFERENCE_CHARS));
  if (isBroken) console.log(`it fails natively: exit code ${native.outcome.exitCode}\n${native.outcome.stderr}`);
  if (values.print) console.log(text(other.outcome));
}
console.log(`${failed} differ or fail natively`);
