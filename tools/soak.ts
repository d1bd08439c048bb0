// npm run soak [-- --runs N --seconds N --clients N --kill-every N --kinds A,B]: random runs of several tenants on one engine: code, programs,
// errors, exit codes, limits, cancellations, files, reused VMs, stateful sandboxes and copies of them, workers killed under way (soakkinds.ts).
// Each answer carries its nonce.
// Prints a report as JSON; fails when an answer is wrong, lost with no worker killed, or crossed, something is left at the end, or memory or
// descriptors of this process or its workers grow (soaksamples.ts); not when the machine is busy, nor when it is short of memory now and then.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Engine, OffshootError } from '../src/engine/index.ts';
import { HostShort } from './soakjudge.ts';
import { KIND_NAMES, pick } from './soakkinds.ts';
import { SAMPLES, children, growth, sample, workers, type Sample } from './soaksamples.ts';

export interface SoakReport {
  readonly runs: number;
  readonly seconds: number;
  /** By kind: how many came out right. */
  readonly done: Readonly<Record<string, number>>;
  /** Workers that were killed, and pieces of work that ended with theirs. */
  readonly killed: number;
  readonly lost: number;
  /** Pieces for which the host had too little memory: how they would have gone on is not known. */
  readonly refused: number;
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
/** More refused pieces than this share, and it is no soak. */
const REFUSED_MAX = 0.05;
/** How long a machine may take to notice that a worker was killed: until then it is given work. */
const NOTICED_MS = 20_000;
/** How long processes may take to be gone when the engine is closed. */
const GONE_MS = 60_000;
const TENANTS = ['a', 'b', 'c'];

/** What a soak has counted. */
class Tally {
  readonly done: Record<string, number> = {};
  readonly wrong: string[] = [];
  killed = 0;
  lost = 0;
  refused = 0;
  private killedMs = -Infinity;
  /** Pieces under way, by their nonces. */
  private readonly under = new Map<string, string>();

  kill(): void {
    const pids = workers();
    if (pids.length === 0) return;
    this.killedMs = performance.now();
    this.killed++;
    process.kill(pids[Math.floor(Math.random() * pids.length)], 'SIGKILL');
  }

  begin(nonce: string, what: string): void {
    this.under.set(nonce, what);
  }

  /** `problem`: null when it came out right. */
  end(nonce: string, name: string, problem: string | null): void {
    this.under.delete(nonce);
    if (problem === null) {
      this.done[name] = (this.done[name] ?? 0) + 1;
      return;
    }
    const crossed = [...this.under].filter(([other]) => problem.includes(other)).map(([, what]) => what);
    this.wrong.push(`${name}${crossed.length > 0 ? ` has an answer of ${crossed.join(', ')}` : ''}: ${problem}`);
  }

  fail(nonce: string, name: string, beganMs: number, error: unknown): void {
    const code = error instanceof OffshootError ? error.code : null;
    if (error instanceof HostShort || code === 'host-memory') this.refused++;
    // A worker that nobody killed has crashed.
    else if ((code === 'worker-lost' || code === 'sandbox-ended') && beganMs < this.killedMs + NOTICED_MS) this.lost++;
    else return this.end(nonce, name, String(error));
    this.under.delete(nonce);
  }
}

/** The children that are left when there was time to end. */
async function processesLeft(): Promise<number> {
  for (const end = performance.now() + GONE_MS; performance.now() < end && children().length > 0;) await sleep(100);
  return children().length;
}

export async function soak({ runs, clients, seconds = Infinity, killEvery = KILL_EVERY, kinds = KIND_NAMES }: SoakInit): Promise<SoakReport> {
  const engine = await Engine.open();
  const startMs = performance.now();
  const tally = new Tally();
  const { done, wrong } = tally;
  const samples: Sample[] = [];
  let begun = 0;
  await engine.template('python');
  const client = async (): Promise<void> => {
    while (begun < runs && wrong.length < WRONG_MAX && performance.now() - startMs < seconds * 1000) {
      const number = ++begun;
      if (number % killEvery === 0) tally.kill();
      if (number % Math.ceil(runs / SAMPLES) === 0) samples.push(sample(number));
      const { name, work } = pick(kinds);
      const tenant = TENANTS[number % TENANTS.length], nonce = randomUUID(), beganMs = performance.now();
      tally.begin(nonce, `${name} of tenant ${tenant}`);
      try {
        tally.end(nonce, name, await work({ engine, tenant, nonce }));
      } catch (error) {
        tally.fail(nonce, name, beganMs, error);
      }
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  await engine.close();
  if (tally.refused > begun * REFUSED_MAX) wrong.push(`${tally.refused} of ${begun} were refused: the host has too little memory for this`);
  return {
    runs: begun, seconds: Math.round((performance.now() - startMs) / 1000), done, killed: tally.killed, lost: tally.lost, refused: tally.refused, wrong,
    samples, growth: growth(samples), processesLeft: await processesLeft(),
  };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      runs: { type: 'string', default: '200000' }, seconds: { type: 'string', default: 'Infinity' }, clients: { type: 'string', default: '12' },
      'kill-every': { type: 'string', default: String(KILL_EVERY) }, kinds: { type: 'string' },
    },
  });
  const kinds = values.kinds?.split(',') ?? KIND_NAMES;
  const unknown = kinds.filter((name) => !KIND_NAMES.includes(name));
  if (unknown.length > 0) throw new Error(`There is no kind ${unknown.join(', ')}: there are ${KIND_NAMES.join(', ')}.`);
  const report = await soak({
    runs: Number(values.runs), seconds: Number(values.seconds), clients: Number(values.clients), killEvery: Number(values['kill-every']), kinds,
  });
  console.log(JSON.stringify({ ...report, samples: undefined }, null, 1));
  for (const each of report.samples) console.log(JSON.stringify(each));
  process.exitCode = report.wrong.length > 0 || report.processesLeft > 0 || (report.growth ?? []).length > 0 ? 1 : 0;
}

if (import.meta.main) await main();
