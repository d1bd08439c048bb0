// Runs conformance cases by hand: node test/conformance/run.ts [--native | --trace | --forked [--times N]] [NAME-PATTERN]
// Without options natively and in a sandbox, printing the lines that differ. --native: natively twice, which must be equal.
// --forked: in sandboxes forked at N random calls (once); OFFSHOOT_SEED=n repeats the first of them.

import { parseArgs } from 'node:util';
import { build, loadCases, variantsOf } from './cases.ts';
import { type Job, type Outcome, runNatively } from './native.ts';
import { Forks } from './forked.ts';
import { Sandboxes } from './sandbox.ts';
import { SEED, fractionOf } from './seed.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    native: { type: 'boolean' }, trace: { type: 'boolean' }, print: { type: 'boolean' }, forked: { type: 'boolean' },
    times: { type: 'string', default: '1' },
  },
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
const forks = values.native ? null : await Forks.open();
let failed = 0;

/** Prints how a run compares; counts those that differ. */
function report(title: string, expected: Outcome, actual: Outcome): void {
  const found = differences(lines(expected), lines(actual));
  if (found.length > 0) failed++;
  say(`${found.length === 0 ? 'ok  ' : 'FAIL'} ${title}`);
  if (found.length > 0) say(found.slice(0, 40).map((line) => line.slice(0, 300)).join('\n'));
}

async function runForked(name: string, job: Job, expected: Outcome, syscalls: number): Promise<void> {
  for (let time = 0; time < Number(values.times); time++) {
    const seed = time === 0 ? SEED : `${SEED}-${time}`;
    const { original, branch, atCall } = await forks!.runForked(job, syscalls, fractionOf(name, seed));
    const where = `${name} at ${atCall} of ${syscalls} (OFFSHOOT_SEED=${seed})`;
    report(`${where} original`, expected, original);
    if (branch) report(`${where} branch`, expected, branch);
    else say(`  ${where}: ended before`);
  }
}

for (const variant of loadCases().flatMap(variantsOf).filter(({ name }) => pattern.test(name))) {
  const { uid, timeoutMs, differs, language, part } = variant.case;
  const job: Job = { program: await build(variant), language, part, uid, timeoutMs };
  const expected = await runNatively(job);
  const start = performance.now();
  const inside = uid === 1000 ? sandboxes?.run(job, values.trace ? say : undefined) : forks?.run(job);
  const { outcome, syscalls } = (await inside) ?? { outcome: await runNatively(job), syscalls: 0 };
  report(`${variant.name} ${(performance.now() - start).toFixed(0)} ms${differs ? ' (known)' : ''}`, expected, outcome);
  if (values.print) say(outcome.stdout);
  if (values.forked) await runForked(variant.name, job, expected, syscalls);
}
say(`${failed} differ`);
await sandboxes?.close();
process.exit(failed > 0 ? 1 : 0);
