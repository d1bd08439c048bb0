// `offshoot bench dispatch`: how long a run is under way from the caller's process to its first instruction in a worker. The run's
// VM is a pooled one, so what is measured is the channel, the worker's wake-up and handing over the request.

import type { Template } from '../engine/template.ts';
import type { Engine } from '../engine/engine.ts';

/** Measured times of one kind, in microseconds. */
export interface DispatchTimes {
  readonly name: string;
  readonly unit: 'us';
  readonly values: readonly number[];
}

/** Both processes have gone to sleep before each run; pools have been filled. */
const PAUSE_MS = 20;
const WARM_UP = 50;

/** `dispatch`: submit → first instruction; `dispatch.roundtrip`: submit → result, of a run that prints a line. */
export async function benchDispatch(engine: Engine, template: Template, samples: number): Promise<DispatchTimes[]> {
  const waits: number[] = [];
  const trips: number[] = [];
  for (let i = -WARM_UP; i < samples; i++) {
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    const start = performance.now();
    const result = await engine.run(template, 'print(1+1)');
    const ms = performance.now() - start;
    if (result.stdout.toString() !== '2\n') throw new Error(`a benchmarked run printed ${JSON.stringify(result.stdout.toString())} instead of "2\\n"`);
    if (i < 0 || !result.pooled) continue;
    waits.push(result.waitTimeMs * 1000);
    trips.push(ms * 1000);
  }
  return [{ name: 'dispatch', unit: 'us', values: waits }, { name: 'dispatch.roundtrip', unit: 'us', values: trips }];
}
