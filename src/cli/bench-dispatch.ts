// `offshoot bench dispatch`: how long a run is under way from the caller's process to its first instruction in a worker. The run's
// VM is a pooled one, so what is measured is the channel, the worker's wake-up and handing over the request. Then the same while
// others compute in that worker, and how long a cancelled one takes to end.

import type { Template } from '../engine/template.ts';
import type { Engine } from '../engine/engine.ts';
import { Echo } from './benchpeer.ts';
import { REST_MS, check, compile, rest } from './benchrow.ts';

/** Measured times of one kind, in microseconds. */
export interface DispatchTimes {
  readonly name: string;
  readonly unit: 'us' | 'ms';
  readonly values: readonly number[];
}

/** Long enough for other work to have taken the processors' caches. */
const ASLEEP_MS = 20;
const WARM_UP = 50;
/** Samples of one side in a row. */
const IN_TURN = 20;
const HOGS = 4;

/** Microseconds of runs of a line. */
interface Dispatches {
  /** Submit → first instruction. */
  readonly waits: number[];
  /** Submit → result. */
  readonly trips: number[];
  /** Of a message to another Node, in turn with them. */
  readonly floors: number[];
}

/** All rows. */
export async function benchDispatch(engine: Engine, template: Template, samples: number): Promise<DispatchTimes[]> {
  const { waits, trips, floors } = await dispatches(engine, template, samples, REST_MS);
  const asleep = await dispatches(engine, template, samples, ASLEEP_MS);
  return [
    { name: 'dispatch', unit: 'us', values: waits }, { name: 'dispatch.floor', unit: 'us', values: floors },
    { name: 'dispatch.roundtrip', unit: 'us', values: trips },
    { name: 'dispatch.asleep', unit: 'us', values: asleep.waits }, { name: 'dispatch.asleep.floor', unit: 'us', values: asleep.floors },
    { name: 'dispatch.hogs', unit: 'ms', values: await besideHogs(engine, template, samples) },
    { name: 'cancel', unit: 'ms', values: await cancelled(engine, template, Math.ceil(samples / 5)) },
  ];
}

async function dispatches(engine: Engine, template: Template, samples: number, restMs: number): Promise<Dispatches> {
  const times: Dispatches = { waits: [], trips: [], floors: [] };
  const echo = new Echo();
  await compile(engine, template, 'print(1+1)', samples);
  for (let i = -WARM_UP; i < samples; i++) {
    await rest(restMs);
    const start = performance.now();
    const result = await engine.run(template, 'print(1+1)');
    const ms = performance.now() - start;
    check(result.stdout.toString(), /^2\n$/);
    if (i < 0 || !result.pooled) continue;
    times.waits.push(result.waitTimeMs * 1000);
    times.trips.push(ms * 1000);
    if (i % IN_TURN === 0) times.floors.push(...await echoes(echo, restMs));
  }
  echo.stop();
  return times;
}

async function echoes(echo: Echo, restMs: number): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < IN_TURN; i++) {
    await rest(restMs);
    times.push(await echo.sample() * 1000);
  }
  return times;
}

/** Submit → first instruction while four others compute in the same worker: two slices of 10 ms at most. */
async function besideHogs(engine: Engine, template: Template, samples: number): Promise<number[]> {
  const stop = new AbortController();
  const hogs = Array.from({ length: HOGS }, () => engine.run(template, 'while True: pass', { signal: stop.signal }));
  const waits: number[] = [];
  for (let i = 0; i < samples; i++) {
    waits.push((await engine.run(template, 'pass')).waitTimeMs);
    await rest(Math.random() * ASLEEP_MS);
  }
  stop.abort();
  await Promise.all(hogs);
  return waits;
}

/** abort() → result of a program that computes. */
async function cancelled(engine: Engine, template: Template, samples: number): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < samples; i++) {
    const stop = new AbortController();
    let abortedMs = 0;
    const onStdout = (): void => {
      setTimeout(() => {
        abortedMs = performance.now();
        stop.abort();
      }, Math.random() * ASLEEP_MS);
    };
    const result = await engine.run(template, 'print(1, flush=True)\nwhile True: pass', { signal: stop.signal, onStdout });
    times.push(performance.now() - abortedMs);
    if (result.limit !== 'cancelled' || result.stdout.toString() !== '1\n') throw new Error('a cancelled run lost its output');
  }
  return times;
}
