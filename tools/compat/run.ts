// One program of a suite on one side, its reports gathered.
//
// Interface: runSide, Place.

import { runNatively } from '../sides/native.ts';
import type { Program } from '../sides/program.ts';
import { runInSandbox } from '../sides/sandbox.ts';
import { Collector, type Outcome } from './job.ts';
import type { Side } from './results.ts';

/** Where programs run: the image, and its unpacked tree ('' when nothing runs natively). */
export interface Place { readonly home: string; readonly imageId: string; readonly root: string }

/** Runs the program to its end or its time limit. */
export async function runSide(side: Side, { home, imageId, root }: Place, program: Program): Promise<Outcome> {
  const collector = new Collector();
  const onOutput = (_stream: number, text: string): void => collector.push(text);
  if (side === 'sandbox') return collector.finish(await runInSandbox(home, imageId, program, onOutput));
  return collector.finish({ ...await runNatively(root, program, onOutput), reason: null, unimplemented: {} });
}
