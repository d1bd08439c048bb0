// `offshoot bench rate`: runs a second that can be kept up, this process as the client, against native preloaded Pythons that fork for
// each run, one per processor, with the same client. At 1, cores and 4 × cores runs at a time, in turn. And how many machines a second
// a C program makes, has write as many pages as a run does, and closes, on each processor: with no kernel, no Python and no client.

import { availableParallelism } from 'node:os';
import type { Engine } from '../engine/engine.ts';
import { templateSpec } from '../engine/spec.ts';
import { check, ratio, row, type Row } from './benchrow.ts';
import { Floor, Native } from './benchpeer.ts';

const CODE = 'print(1+1)';
const OUTPUT = /^2\n$/;
/** Turns of each side. */
const TURNS = 8;
/** Machines that one process of the floor has at a time. */
const IN_A_ROW = 4;

/** `samples`: runs in one turn. */
export async function benchRate(engine: Engine, samples: number, notes: string[]): Promise<Row[]> {
  const cores = availableParallelism();
  const natives = await startNatives(engine.home, cores);
  if (natives.length === 0) notes.push('the host has no python3 with the same modules (numpy): native rows are missing');
  const fresh = async (): Promise<void> => check((await engine.run('python', CODE)).stdout.toString(), OUTPUT);
  const reuse = async (): Promise<void> => check((await engine.run('python', CODE, { reuse: true })).stdout.toString(), OUTPUT);
  const sides = [['fresh.rate', fresh], ['reuse.rate', reuse]] as const;
  const rows: Row[] = [];
  for (const [name, atOnce] of [['1', 1], ['cores', cores], ['4xcores', 4 * cores]] as const) {
    for (const [, run] of sides) await perSecond(run, atOnce, samples); // both workers are there, and have learned
    const rates: Record<string, number[]> = { 'fresh.rate': [], 'reuse.rate': [] };
    const zygote: number[] = [];
    for (let turn = 0; turn < TURNS; turn++) {
      for (const [side, run] of sides) rates[side].push(await perSecond(run, atOnce, samples));
      if (natives.length > 0) zygote.push(await perSecond(turnsOf(natives), atOnce, samples));
    }
    if (zygote.length > 0) rows.push(row(`zygote.rate.${name}`, 'runs/s', zygote));
    for (const [side] of sides) {
      rows.push(row(`${side}.${name}`, 'runs/s', rates[side]));
      if (zygote.length > 0) rows.push(ratio(`${side}.${name}.ratio`, rates[side], zygote));
    }
  }
  for (const native of natives) native.stop();
  const floors = await floorRates(engine, cores, samples);
  if (floors.length === 0) notes.push('no C compiler: the floor is not measured');
  else rows.push(row('fresh.rate.floor', 'runs/s', floors));
  return rows;
}

/** Machines a second of the C floor on all processors, by turns. */
async function floorRates(engine: Engine, cores: number, samples: number): Promise<number[]> {
  const floors = await Floor.start(engine, await engine.template('python'), cores);
  const rates: number[] = [];
  for (let turn = 0; turn < TURNS && floors.length > 0; turn++) {
    const start = performance.now();
    await Promise.all(floors.map(async (floor) => {
      for (let left = samples / cores; left > 0; left -= IN_A_ROW) await floor.row(IN_A_ROW);
    }));
    rates.push(Math.ceil(samples / cores / IN_A_ROW) * IN_A_ROW * cores / ((performance.now() - start) / 1000));
  }
  for (const floor of floors) floor.stop();
  return rates;
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
