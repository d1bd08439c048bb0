// `offshoot bench live`: what many live sandboxes cost: time to have them, host memory for each (everything: MemAvailable), and whether
// a run takes longer beside them.

import { readFileSync } from 'node:fs';
import type { Engine } from '../engine/engine.ts';
import type { RunResult } from '../engine/run.ts';
import type { Sandbox } from '../engine/sandbox.ts';
import type { Template } from '../engine/template.ts';
import { check, ratio, row, single, type Row } from './benchrow.ts';

const CODE = 'print(1+1)';
const OUTPUT = /^2\n$/;
/** Prints, and lives on: it waits for a line. */
const LIVE = 'print(1+1, flush=True)\nprint(input())';
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

  const few: Live[] = [];
  const fewBoxes = await forkMany(template, FEW, async (sandbox) => void few.push(await live(sandbox)));
  const beside10 = await timeRuns(engine);
  await endAll(few);
  await closeAll(fewBoxes);

  const start = await availableKb();
  const startMs = performance.now();
  const many: Live[] = [];
  const ran = await forkMany(template, count, async (sandbox) => void many.push(await live(sandbox)));
  const seconds = (performance.now() - startMs) / 1000;
  const ranKb = (start - await availableKb()) / count;
  const besideMany = await timeRuns(engine);
  await endAll(many);
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

/** A program that has printed and waits. */
interface Live {
  /** Gives it the line it waits for. */
  end(): void;
  readonly result: Promise<RunResult>;
}

/** Resolves when it has printed. */
async function live(sandbox: Sandbox): Promise<Live> {
  let end = (): void => {};
  const line = new Promise<void>((resolve) => {
    end = resolve;
  });
  const stdin = async function* (): AsyncGenerator<Uint8Array> {
    await line;
    yield Buffer.from('still here\n');
  };
  return new Promise((resolve, reject) => {
    const result = sandbox.run(LIVE, { stdin: stdin(), onStdout: () => resolve({ end, result }) });
    result.then(() => reject(new Error('a sandbox ended before its time')), reject);
  });
}

/** All of them are alive: each answers. */
async function endAll(lives: readonly Live[]): Promise<void> {
  for (const { end, result } of lives) {
    end();
    check((await result).stdout.toString(), /^2\nstill here\n$/);
  }
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
