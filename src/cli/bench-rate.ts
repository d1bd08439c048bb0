// `offshoot bench rate`: runs a second that can be kept up, this process as the client, against native preloaded Pythons that fork for
// each run, one per processor, with the same client. At 1, cores and 4 × cores runs at a time, in turn.

import { availableParallelism } from 'node:os';
import type { Engine } from '../engine/engine.ts';
import { templateSpec } from '../engine/spec.ts';
import { check, ratio, row, type Row } from './benchrow.ts';
import { Native } from './benchpeer.ts';

const CODE = 'print(1+1)';
const OUTPUT = /^2\n$/;
/** Turns of each side. */
const TURNS = 8;

/** `samples`: runs in one turn. */
export async function benchRate(engine: Engine, samples: number, notes: string[]): Promise<Row[]> {
  const cores = availableParallelism();
  const natives = await startNatives(engine.home, cores);
  if (natives.length === 0) notes.push('the host has no python3 with the same modules (numpy): native rows are missing');
  const ours = async (): Promise<void> => check((await engine.run('python', CODE)).stdout.toString(), OUTPUT);
  const rows: Row[] = [];
  for (const [name, atOnce] of [['1', 1], ['cores', cores], ['4xcores', 4 * cores]] as const) {
    await perSecond(ours, atOnce, samples); // both workers are there, and have learned
    const fresh: number[] = [];
    const zygote: number[] = [];
    for (let turn = 0; turn < TURNS; turn++) {
      fresh.push(await perSecond(ours, atOnce, samples));
      if (natives.length > 0) zygote.push(await perSecond(turnsOf(natives), atOnce, samples));
    }
    rows.push(row(`fresh.rate.${name}`, 'runs/s', fresh));
    if (zygote.length > 0) rows.push(row(`zygote.rate.${name}`, 'runs/s', zygote), ratio(`fresh.rate.${name}.ratio`, fresh, zygote));
  }
  for (const native of natives) native.stop();
  return rows;
}

async function startNatives(home: string, count: number): Promise<Native[]> {
  const preload = templateSpec('python', home)?.preload ?? [];
  const started = await Promise.all(Array.from({ length: count }, () => Native.start(preload)));
  return started.filter((native) => native !== null);
}

/** One run in whichever native is free. */
function turnsOf(natives: readonly Native[]): () => Promise<void> {
  const free = [...natives];
  const waiting: (() => void)[] = [];
  return async () => {
    while (free.length === 0) await new Promise<void>((resolve) => waiting.push(resolve));
    const native = free.pop() as Native;
    try {
      check((await native.sample(CODE)).output, OUTPUT);
    } finally {
      free.push(native);
      waiting.shift()?.();
    }
  };
}

/** Runs `once` `count` times, `atOnce` at a time. */
async function perSecond(once: () => Promise<void>, atOnce: number, count: number): Promise<number> {
  let left = count;
  const start = performance.now();
  await Promise.all(Array.from({ length: atOnce }, async () => {
    while (left-- > 0) await once();
  }));
  return count / ((performance.now() - start) / 1000);
}
