// `offshoot bench dispatch`: how long a run is under way from the caller's process to its first instruction in a worker. The run's
// VM is a pooled one, so what is measured is the channel, the worker's wake-up and handing over the request. Then the same while
// others compute in that worker, and how long a cancelled one takes to end.

import type { Template } from '../engine/template.ts';
import type { Engine } from '../engine/engine.ts';
import { Echo } from './benchpeer.ts';

/** Measured times of one kind, in microseconds. */
export interface DispatchTimes {
  readonly name: string;
  readonly unit: 'us' | 'ms';
  readonly values: readonly number[];
}

/** Both processes have gone to sleep before each run; pools have been filled. */
const PAUSE_MS = 20;
const WARM_UP = 50;
const HOGS = 4;

/** `dispatch`: submit → first instruction; `dispatch.roundtrip`: submit → result, of a run that prints a line; `dispatch.floor`: a message to another Node. */
export async function benchDispatch(engine: Engine, template: Template, samples: number): Promise<DispatchTimes[]> {
  const waits: number[] = [];
  const trips: number[] = [];
  const floors: number[] = [];
  const echo = new Echo();
  for (let i = -WARM_UP; i < samples; i++) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    const start = performance.now();
    const result = await engine.run(template, 'print(1+1)');
    const ms = performance.now() - start;
    if (result.stdout.toString() !== '2\n') throw new Error(`a benchmarked run printed ${JSON.stringify(result.stdout.toString())} instead of "2\\n"`);
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    const floorMs = await echo.sample();
    if (i < 0 || !result.pooled) continue;
    floors.push(floorMs * 1000);
    waits.push(result.waitTimeMs * 1000);
    trips.push(ms * 1000);
  }
  echo.stop();
  return [
    { name: 'dispatch', unit: 'us', values: waits }, { name: 'dispatch.floor', unit: 'us', values: floors },
    { name: 'dispatch.roundtrip', unit: 'us', values: trips },
    { name: 'dispatch.hogs', unit: 'ms', values: await besideHogs(engine, template, samples) },
    { name: 'cancel', unit: 'ms', values: await cancelled(engine, template, Math.ceil(samples / 5)) },
  ];
}

/** Submit → first instruction while four others compute in the same worker: two slices of 10 ms at most. */
async function besideHogs(engine: Engine, template: Template, samples: number): Promise<number[]> {
  const stop = new AbortController();
  const hogs = Array.from({ length: HOGS }, () => engine.run(template, 'while True: pass', { signal: stop.signal }));
  const waits: number[] = [];
  for (let i = 0; i < samples; i++) {
    waits.push((await engine.run(template, 'pass')).waitTimeMs);
    await new Promise((resolve) => setTimeout(resolve, Math.random() * PAUSE_MS));
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
      }, Math.random() * PAUSE_MS);
    };
    const result = await engine.run(template, 'print(1, flush=True)\nwhile True: pass', { signal: stop.signal, onStdout });
    times.push(performance.now() - abortedMs);
    if (result.limit !== 'cancelled' || result.stdout.toString() !== '1\n') throw new Error('a cancelled run lost its output');
  }
  return times;
}
