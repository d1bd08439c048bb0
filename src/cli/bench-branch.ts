// `offshoot bench branch`: copies of a running stateful sandbox, with and without data in its memory, in turn; and what the first
// run in a copy takes.

import type { RunInit, RunResult } from '../engine/run.ts';
import type { StatefulSandbox } from '../engine/statefulsandbox.ts';
import type { Template } from '../engine/template.ts';
import { check, ratio, row, type Row } from './benchrow.ts';

/** Megabytes of numbers the sandbox has written. */
const SIZES = [0, 100] as const;
/** The pool makes the next sandbox ready meanwhile, in the same process. */
const REST_MS = 200;

interface Times {
  /** The first copy of a sandbox, and one more when both sides have written nothing since. */
  readonly first: number[];
  readonly again: number[];
  /** A run in the first copy that prints one of the numbers. */
  readonly run: number[];
}

/** `samples`: sandboxes of each size. */
export async function benchBranch(template: Template, samples: number): Promise<Row[]> {
  const times = new Map(SIZES.map((mb) => [mb, { first: [], again: [], run: [] } as Times]));
  for (let i = -2; i < samples; i++) {
    for (const mb of SIZES) {
      const found = await sample(template, mb);
      const all = times.get(mb);
      if (i < 0 || !all) continue; // code that has not run before
      for (const name of ['first', 'again', 'run'] as const) all[name].push(found[name]);
    }
  }
  const rows = [...times].flatMap(([mb, { first, again, run }]) => [
    row(`branch.${mb}mb`, 'ms', first), row(`branch.${mb}mb.again`, 'ms', again), row(`branch.${mb}mb.run`, 'ms', run),
  ]);
  return [...rows, ratio('branch.ratio', times.get(100)?.first ?? [], times.get(0)?.first ?? [])];
}

async function sample(template: Template, mb: number): Promise<Record<keyof Times, number>> {
  await using box = await template.fork({ stateful: true });
  await prints(box, `import numpy as np\na = np.arange(1 + ${mb} * 131072)\nprint(a[-1])`, mb * 131072);
  await new Promise((resolve) => setTimeout(resolve, REST_MS));
  const [first, firstMs] = await timedFork(box);
  await using copy = first;
  const [second, againMs] = await timedFork(box);
  await second.close();
  const run = await prints(copy, 'print(a[-1])', mb * 131072);
  // Each has numbers of its own: all of them are looked at.
  await prints(copy, 'a += 1\nprint(int(a.sum() - np.arange(len(a)).sum()) - len(a))', 0);
  await prints(box, 'print(int(a.sum() - np.arange(len(a)).sum()))', 0);
  return { first: firstMs, again: againMs, run };
}

async function timedFork(box: StatefulSandbox): Promise<[StatefulSandbox, number]> {
  const start = performance.now();
  const [copy] = await box.fork();
  return [copy, performance.now() - start];
}

/** From the call until the output is here. */
async function prints(box: StatefulSandbox, code: string, expected: number): Promise<number> {
  const start = performance.now();
  let ms = NaN;
  const init: RunInit = { onStdout: () => {
    ms = performance.now() - start;
  } };
  const result: RunResult = await box.run(code, init);
  check(result.stdout.toString(), new RegExp(`^${expected}\\n$`));
  return ms;
}
