// Runs conformance cases by hand: node test/conformance/run.ts [--native | --trace] [NAME-PATTERN]
// Without options natively and in a sandbox, printing the lines that differ. --native: natively twice, which must be equal.

import { parseArgs } from 'node:util';
import { build, loadCases, variantsOf } from './cases.ts';
import { type Job, type Outcome, runNatively } from './native.ts';
import { Sandboxes, cannotRunInSandbox } from './sandbox.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { native: { type: 'boolean' }, trace: { type: 'boolean' }, print: { type: 'boolean' } },
});
const pattern = new RegExp(positionals[0] ?? '.');

function say(text: string): void {
  process.stdout.write(text.endsWith('\n') ? text : `${text}\n`);
}

/** The outcome as lines: what is compared, and printed where it differs. */
function lines(outcome: Outcome): string[] {
  return [...outcome.stdout.split('\n'), ...outcome.stderr.split('\n').map((line) => `stderr: ${line}`),
    `exit code ${outcome.exitCode} signal ${outcome.signal}`];
}

/** Lines of the longest common subsequence are left out. */
function differences(expected: string[], actual: string[]): string[] {
  let start = 0;
  while (start < expected.length && expected[start] === actual[start]) start++;
  const table = Array.from({ length: expected.length + 1 }, () => new Uint32Array(actual.length + 1));
  for (let i = expected.length - 1; i >= start; i--) {
    for (let j = actual.length - 1; j >= start; j--) {
      table[i][j] = expected[i] === actual[j] ? table[i + 1][j + 1] + 1 : Math.max(table[i + 1][j], table[i][j + 1]);
    }
  }
  const found: string[] = [];
  for (let i = start, j = start; i < expected.length || j < actual.length;) {
    if (i < expected.length && expected[i] === actual[j]) i++, j++;
    else if (j >= actual.length || (i < expected.length && table[i + 1][j] >= table[i][j + 1])) found.push(`  - ${expected[i++]}`);
    else found.push(`  + ${actual[j++]}`);
  }
  return found;
}

const sandboxes = values.native ? null : await Sandboxes.open();
let failed = 0;
for (const variant of loadCases().flatMap(variantsOf).filter(({ name }) => pattern.test(name))) {
  if (sandboxes && cannotRunInSandbox(variant.case.uid)) continue;
  const { uid, timeoutMs } = variant.case;
  const job: Job = { program: await build(variant), language: variant.case.language, uid, timeoutMs };
  const expected = await runNatively(job);
  const start = performance.now();
  const actual = sandboxes ? await sandboxes.run(job, values.trace ? say : undefined) : await runNatively(job);
  const found = differences(lines(expected), lines(actual));
  if (found.length > 0) failed++;
  const known = variant.case.differs ? ' (known)' : '';
  say(`${found.length === 0 ? 'ok  ' : 'FAIL'} ${variant.name} ${(performance.now() - start).toFixed(0)} ms${known}`);
  if (found.length > 0) say(found.slice(0, 40).map((line) => line.slice(0, 300)).join('\n'));
  if (values.print) say(actual.stdout);
}
say(`${failed} differ`);
await sandboxes?.close();
