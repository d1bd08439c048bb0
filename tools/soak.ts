// npm run soak [-- --runs N --seconds N --clients N --kinds A,B]: random runs of several tenants on one engine: code, programs, errors, exit codes, time-outs,
// cancellations, reused VMs, stateful sandboxes and copies of them, workers killed under way (soakkinds.ts). Each answer carries its nonce.
// Prints a report as JSON; fails when an answer is wrong, lost or crossed, something is left at the end, or memory or descriptors of this
// process or its workers grow (soaksamples.ts).

import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { Engine, OffshootError } from '../src/engine/index.ts';
import { KIND_NAMES, pick } from './soakkinds.ts';
import { SAMPLES, children, growth, sample, type Sample } from './soaksamples.ts';

export interface SoakReport {
  readonly runs: number;
  readonly seconds: number;
  /** By kind: how many came out right. */
  readonly done: Readonly<Record<string, number>>;
  /** Runs that ended with their worker, which was killed. */
  readonly lost: number;
  readonly wrong: readonly string[];
  readonly samples: readonly Sample[];
  /** What grew, a sentence each; null: too few runs to say. */
  readonly growth: readonly string[] | null;
  /** Processes of this one that are left when the engine is closed. */
  readonly processesLeft: number;
}

export interface SoakInit {
  /** Pieces of work, and how many are done at a time. */
  readonly runs: number;
  readonly clients: number;
  /** Nothing is begun after so long. */
  readonly seconds?: number;
  /** A worker is killed after so many. */
  readonly killEvery?: number;
  /** Of KIND_NAMES; all by default. */
  readonly kinds?: readonly string[];
}

const KILL_EVERY = 5000;
const WRONG_MAX = 20;
const TENANTS = ['a', 'b', 'c'];

export async function soak({ runs, clients, seconds = Infinity, killEvery = KILL_EVERY, kinds = KIND_NAMES }: SoakInit): Promise<SoakReport> {
  const engine = await Engine.open();
  const startMs = performance.now();
  const done: Record<string, number> = {};
  const wrong: string[] = [];
  const samples: Sample[] = [];
  let begun = 0, lost = 0;
  await engine.template('python');
  const client = async (): Promise<void> => {
    while (begun < runs && wrong.length < WRONG_MAX && performance.now() - startMs < seconds * 1000) {
      const number = ++begun;
      if (number % killEvery === 0) process.kill(children()[0] ?? 0, 'SIGKILL');
      if (number % Math.ceil(runs / SAMPLES) === 0) samples.push(sample(number));
      const { name, work } = pick(kinds);
      try {
        const problem = await work({ engine, tenant: TENANTS[number % TENANTS.length], nonce: randomUUID() });
        if (problem === null) done[name] = (done[name] ?? 0) + 1;
        else wrong.push(`${name}: ${problem}`);
      } catch (error) {
        if (error instanceof OffshootError && (error.code === 'worker-lost' || error.code === 'sandbox-ended')) lost++;
        else wrong.push(`${name}: ${String(error)}`);
      }
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  await engine.close();
  await new Promise((resolve) => setTimeout(resolve, 500));
  return {
    runs: begun, seconds: Math.round((performance.now() - startMs) / 1000), done, lost, wrong, samples, growth: growth(samples),
    processesLeft: children().length,
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string', default: '200000' }, seconds: { type: 'string', default: 'Infinity' }, clients: { type: 'string', default: '12' },
      kinds: { type: 'string' },
    },
  });
  const kinds = values.kinds?.split(',') ?? KIND_NAMES;
  const unknown = kinds.filter((name) => !KIND_NAMES.includes(name));
  if (unknown.length > 0) throw new Error(`There is no kind ${unknown.join(', ')}: there are ${KIND_NAMES.join(', ')}.`);
  const report = await soak({ runs: Number(values.runs), seconds: Number(values.seconds), clients: Number(values.clients), kinds });
  console.log(JSON.stringify({ ...report, samples: undefined }, null, 1));
  for (const each of report.samples) console.log(JSON.stringify(each));
  process.exitCode = report.wrong.length > 0 || report.processesLeft > 0 || (report.growth ?? []).length > 0 ? 1 : 0;
}

if (import.meta.main) await main();
