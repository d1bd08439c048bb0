// `offshoot bench live`: what many live sandboxes cost: time to have them, host memory for each (everything: MemAvailable), and whether
// a run takes longer beside them.

import { readFileSync } from 'node:fs';
import type { Engine } from '../engine/engine.ts';
import type { Sandbox } from '../engine/sandbox.ts';
import type { Template } from '../engine/template.ts';
import { check, ratio, row, single, type Row } from './benchrow.ts';

const CODE = 'print(1+1)';
const OUTPUT = /^2\n$/;
/** Live sandboxes that a few runs are measured beside. */
const FEW = 10;
const SETTLE_MS = 1000;
const RUNS = 50;
/** Sandboxes that are forked, or run, at a time. */
const AT_ONCE = 16;

/** `count`: live sandboxes, 1000 by default. */
export async function benchLive(engine: Engine, count: number): Promise<Row[]> {
  const template = await engine.template('python');
  const before = await availableKb();
  const idle = await forkMany(template, count);
  const idleKb = (before - await availableKb()) / count;
  await closeAll(idle);

  const few = await forkMany(template, FEW, runIn);
  const beside10 = await timeRuns(engine);
  await closeAll(few);

  const start = await availableKb();
  const startMs = performance.now();
  const ran = await forkMany(template, count, runIn);
  const seconds = (performance.now() - startMs) / 1000;
  const ranKb = (start - await availableKb()) / count;
  const besideMany = await timeRuns(engine);
  await closeAll(ran);
  return [
    single(`live${count}`, 's', seconds), single('memory.idle', 'KB', idleKb), single('memory.ran', 'KB', ranKb),
    row('scale.few', 'ms', beside10), row('scale.many', 'ms', besideMany), ratio('scale', besideMany, beside10),
  ];
}

/** `then` is done with each as soon as it is there; so many are under way at a time. */
async function forkMany(template: Template, count: number, then: (sandbox: Sandbox) => Promise<void> = async () => {}): Promise<Sandbox[]> {
  const sandboxes: Sandbox[] = [];
  let left = count;
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    while (left-- > 0) {
      const sandbox = await template.fork({ pooled: false });
      sandboxes.push(sandbox);
      await then(sandbox);
    }
  }));
  return sandboxes;
}

async function runIn(sandbox: Sandbox): Promise<void> {
  check((await sandbox.run(CODE)).stdout.toString(), OUTPUT);
}

async function closeAll(sandboxes: readonly Sandbox[]): Promise<void> {
  await Promise.all(sandboxes.map((sandbox) => sandbox.close()));
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
}

async function timeRuns(engine: Engine): Promise<number[]> {
  const times: number[] = [];
  for (let i = 0; i < RUNS; i++) {
    const start = performance.now();
    check((await engine.run('python', CODE)).stdout.toString(), OUTPUT);
    times.push(performance.now() - start);
  }
  return times;
}

async function availableKb(): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  return Number(/MemAvailable:\s+(\d+)/.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1]);
}
