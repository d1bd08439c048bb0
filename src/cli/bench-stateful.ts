// `offshoot bench stateful`: runs in a sandbox that is kept, beside one-shot runs of the same code, in turn.

import type { Engine } from '../engine/engine.ts';
import type { RunInit, RunResult } from '../engine/run.ts';
import type { Template } from '../engine/template.ts';
import { check, ratio, row, type Row } from './benchrow.ts';

const CODE = 'print(1+1)';
const OUTPUT = /^2\n$/;
/** Runs of each sandbox after its first. */
const LATER = 10;
/** The pool makes the next sandbox ready meanwhile. */
const REST_MS = 200;

const NAMES = ['oneshot', 'fork', 'first', 'later', 'context', 'exec'] as const;
type Name = (typeof NAMES)[number];

/** `samples`: sandboxes. */
export async function benchStateful(engine: Engine, template: Template, samples: number): Promise<Row[]> {
  const times: Record<Name, number[]> = { oneshot: [], fork: [], first: [], later: [], context: [], exec: [] };
  for (let i = -2; i < samples; i++) {
    await rest();
    const oneshot = await timed((init) => engine.run(template, CODE, init));
    await rest();
    const start = performance.now();
    await using box = await template.fork({ stateful: true });
    const fork = performance.now() - start;
    const first = await timed((init) => box.run(CODE, init));
    const later: number[] = [], exec: number[] = [];
    for (let k = 0; k < LATER; k++) {
      later.push(await timed((init) => box.run(CODE, init)));
      exec.push(await timed((init) => box.exec(['echo', '2'], init)));
    }
    const id = await box.createContext();
    const context = await timed((init) => box.run(CODE, { ...init, context: id }));
    if (i < 0) continue; // nothing was ready
    for (const [name, values] of Object.entries({ oneshot: [oneshot], fork: [fork], first: [first], later, context: [context], exec })) {
      times[name as Name].push(...values);
    }
  }
  const rows = NAMES.map((name) => row(`stateful.${name}`, 'ms', times[name]));
  return [...rows, ratio('stateful.first.ratio', times.first, times.oneshot), ratio('stateful.later.ratio', times.later, times.oneshot)];
}

const rest = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, REST_MS));

/** From the call until the output is here. */
async function timed(run: (init: RunInit) => Promise<RunResult>): Promise<number> {
  const start = performance.now();
  let ms = NaN;
  const result = await run({ onStdout: () => {
    ms = performance.now() - start;
  } });
  check(result.stdout.toString(), OUTPUT);
  return ms;
}
