// `offshoot bench NAME`: measurements on this machine. Every sample runs a VM and its output is checked; what is compared is
// measured in the same run, in turn, so that ratios hold on a noisy machine.

import { cpus } from 'node:os';
import { readFileSync } from 'node:fs';
import { Engine } from '../engine/engine.ts';
import { templateSpec } from '../engine/spec.ts';
import type { RunInit, RunResult } from '../engine/run.ts';
import type { Sandbox } from '../engine/sandbox.ts';
import type { Template } from '../engine/template.ts';
import { UsageError } from './fail.ts';
import { Floor, Native } from './benchpeer.ts';
import { check, compile, ratio, rest, row, type Row } from './benchrow.ts';
import { progressPrinter } from './progress.ts';

interface Bench {
  readonly engine: Engine;
  readonly template: Template;
  readonly samples: number;
  readonly notes: string[];
}

const NAMES = ['fork', 'exec', 'template', 'dispatch', 'rate', 'live', 'syscall', 'compile', 'stateful', 'branch', 'http'] as const;
/** Samples by default. */
const SAMPLES: Readonly<Record<string, number>> = { template: 5, live: 1000, compile: 5, stateful: 50, branch: 50 };
const CASES = [
  { name: 'print', code: 'print(1+1)', output: /^2\n$/ },
  { name: 'numpy', code: 'import numpy as np; print(np.random.rand(3))', output: /^\[\s*\d\S*\s+\d\S*\s+\d\S*\s*\]\n$/ },
] as const;

/** offshoot bench NAME [--json] [-n N] */
export async function bench(name: string, flags: { readonly json?: boolean; readonly n?: string }): Promise<void> {
  if (!NAMES.includes(name as (typeof NAMES)[number])) throw new UsageError(`unknown benchmark "${name}": there is ${NAMES.join(', ')}.`);
  const samples = Number(flags.n ?? SAMPLES[name] ?? 200);
  if (!Number.isInteger(samples) || samples < 1) throw new UsageError(`-n needs a whole number above 0, not "${flags.n}".`);
  const many = name === 'rate' || name === 'live' || name === 'http';
  const engine = await Engine.open({ ...(many ? {} : { workers: 1 }), onProgress: progressPrinter(process.stderr) });
  try {
    const template = await engine.template('python');
    const run: Bench = { engine, template, samples, notes: [] };
    const rows = await BENCHES[name as (typeof NAMES)[number]](run);
    print(name, machineName(await engine.selfTest()), rows, run.notes, flags.json ?? false);
  } finally {
    await engine.close();
  }
}

const BENCHES: Readonly<Record<(typeof NAMES)[number], (run: Bench) => Promise<Row[]>>> = {
  fork: benchFork, exec: benchExec, template: benchTemplate,
  dispatch: async ({ engine, template, samples }) =>
    (await (await import('./bench-dispatch.ts')).benchDispatch(engine, template, samples)).map(({ name, unit, values }) => row(name, unit, values)),
  rate: async ({ engine, samples, notes }) => (await import('./bench-rate.ts')).benchRate(engine, samples, notes),
  syscall: async ({ engine, template, samples }) => (await import('./bench-syscall.ts')).benchSyscall(engine, template, samples),
  compile: async ({ engine, samples, notes }) => (await import('./bench-compile.ts')).benchCompile(engine, samples, notes),
  stateful: async ({ engine, template, samples }) => (await import('./bench-stateful.ts')).benchStateful(engine, template, samples),
  branch: async ({ template, samples }) => (await import('./bench-branch.ts')).benchBranch(template, samples),
  http: async ({ engine, samples }) => (await import('./bench-http.ts')).benchHttp(engine, samples),
  live: async ({ engine, samples }) => (await import('./bench-live.ts')).benchLive(engine, samples),
};

async function benchFork({ engine, template, samples, notes }: Bench): Promise<Row[]> {
  const [floor] = await Floor.start(engine, template);
  if (!floor) notes.push('no C compiler: the floor is not measured');
  const forks: number[] = [];
  const floors: number[] = [];
  for (let i = -WARM_UP; i < samples; i += FORKS_IN_TURN) {
    forks.push(...await timeForks(engine, template));
    if (floor) floors.push(...await floor.row(FORKS_IN_TURN));
    if (i < 0) forks.length = floors.length = 0;
  }
  floor?.stop();
  return [row('fork', 'ms', forks), ...(floors.length === 0 ? [] : [row('fork.floor', 'ms', floors), ratio('fork.ratio', forks, floors)])];
}

/** Samples of one side in a row. */
const IN_TURN = 10;
/** The same of forks. */
const FORKS_IN_TURN = 8;

/** Forks in a row, whose VMs are made in a row when their runs come together; then each runs and ends. */
async function timeForks(engine: Engine, template: Template): Promise<number[]> {
  const sandboxes: Sandbox[] = await Promise.all(Array.from({ length: FORKS_IN_TURN }, () => template.fork({ pooled: false })));
  const results = await Promise.all(sandboxes.map((sandbox) => sandbox.run('print(1+1)')));
  for (const { stdout } of results) check(stdout.toString(), /^2\n$/);
  await Promise.all(sandboxes.map((sandbox) => sandbox.close()));
  await engine.selfTest(); // answered when the VMs are gone: the worker is at rest
  return results.map(({ forkTimeMs }) => forkTimeMs);
}

/** Not counted: a worker that has just started runs code the compiler has not got to. */
const WARM_UP = 50;

async function benchExec({ engine, template, samples, notes }: Bench): Promise<Row[]> {
  const preload = templateSpec('python', engine.home)?.preload ?? [];
  const native = await Native.start(preload);
  if (!native) notes.push('the host has no python3 with the same modules (numpy): native rows are missing');
  const rows: Row[] = [];
  for (const { name, code, output } of CASES) {
    const times: Record<'pooled' | 'reuse' | 'fresh' | 'native', number[]> = { pooled: [], reuse: [], fresh: [], native: [] };
    const pages: number[] = [];
    const once: Record<keyof typeof times, () => Promise<void>> = {
      pooled: async () => {
        const run = await timeRun(output, (init) => engine.run(template, code, init));
        if (run.pooled) times.pooled.push(run.ms); // else the pool was empty
      },
      reuse: async () => {
        const run = await timeRun(output, (init) => engine.run(template, code, { ...init, reuse: true }));
        if (run.rewound) times.reuse.push(run.ms);
      },
      fresh: async () => {
        const run = await timeRun(output, (init) => runFresh(template, code, init));
        times.fresh.push(run.ms);
        pages.push(run.dirtyPages ?? NaN);
      },
      native: async () => {
        await rest();
        const peer = await native?.sample(code);
        if (!peer) return;
        check(peer.output, output);
        times.native.push(peer.ms);
      },
    };
    await compile(engine, template, code, samples);
    for (let i = -WARM_UP; i < samples; i += IN_TURN) {
      for (const sample of Object.values(once)) for (let k = 0; k < IN_TURN; k++) await sample();
      if (i < 0) for (const list of [...Object.values(times), pages]) list.length = 0;
    }
    for (const kind of ['pooled', 'reuse', 'fresh'] as const) {
      rows.push(row(`${name}.${kind}`, 'ms', times[kind]));
      if (native) rows.push(ratio(`${name}.${kind}.ratio`, times[kind], times.native));
    }
    rows.push(row(`${name}.pages`, 'pages', pages));
    if (native) rows.push(row(`${name}.native`, 'ms', times.native));
  }
  native?.stop();
  return rows;
}

/** From submitting a run until its output is here. */
async function timeRun(output: RegExp, run: (init: RunInit) => Promise<RunResult>): Promise<{ ms: number } & RunResult> {
  await rest();
  const start = performance.now();
  let ms = NaN;
  const result = await run({ onStdout: () => {
    ms = performance.now() - start;
  } });
  check(result.stdout.toString(), output);
  return { ...result, ms };
}

/** In a VM that is made now. */
async function runFresh(template: Template, code: string, init: RunInit): Promise<RunResult> {
  await using sandbox = await template.fork({ pooled: false });
  return await sandbox.run(code, { ...init, countPages: true });
}

/** Building (the image is there), and loading from disk in a new worker plus one run. */
async function benchTemplate({ engine, samples }: Bench): Promise<Row[]> {
  const builds: number[] = [];
  const loads: number[] = [];
  for (let i = 0; i < samples; i++) {
    let start = performance.now();
    await engine.template('python', { rebuild: true });
    builds.push(performance.now() - start);
    start = performance.now();
    const other = await Engine.open({ workers: 1, home: engine.home });
    try {
      const sandbox = await (await other.template('python')).fork();
      check((await sandbox.run('print(1+1)')).stdout.toString(), /^2\n$/);
      loads.push(performance.now() - start);
    } finally {
      await other.close();
    }
  }
  return [row('template.build', 'ms', builds), row('template.load', 'ms', loads)];
}

function machineName(test: { readonly kind: string }): string {
  const kernel = readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim();
  const kind = test.kind === 'pvm' ? 'PVM-style KVM (shadow page tables, no hardware virtualization)' : 'hardware KVM';
  return `${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} CPUs, Linux ${kernel}, ${kind}`;
}

function print(name: string, machine: string, rows: readonly Row[], notes: readonly string[], json: boolean): void {
  if (json) {
    process.stdout.write(`${JSON.stringify({ bench: name, machine, rows })}\n`);
    return;
  }
  process.stdout.write(`${machine}\n`);
  for (const { name: what, unit, n, p50, p95, p99, p999 } of rows) {
    const values = n === 1 ? `${p50}` : `p50 ${p50}  p95 ${p95}  p99 ${p99}  p99.9 ${p999}`;
    process.stdout.write(`${what.padEnd(24)} ${unit.padEnd(6)} n=${String(n).padEnd(5)} ${values}\n`);
  }
  for (const note of notes) process.stdout.write(`note: ${note}\n`);
}
