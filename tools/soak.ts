// npm run soak [-- --runs N --clients N]: random runs of several tenants on one engine: code, programs, errors, exit codes, time-outs, cancellations,
// reused VMs, stateful sandboxes, workers killed under way. Each answer carries its nonce. Prints a report as JSON; fails when an answer is
// wrong, lost or crossed, or something is left at the end. Memory and descriptors of this process and the workers are sampled ten times.

import { randomUUID } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Engine, OffshootError, type RunResult } from '../src/engine/index.ts';

export interface SoakReport {
  readonly runs: number;
  readonly seconds: number;
  /** By kind: how many came out right. */
  readonly done: Readonly<Record<string, number>>;
  /** Runs that ended with their worker, which was killed. */
  readonly lost: number;
  readonly wrong: readonly string[];
  readonly samples: readonly Sample[];
  /** Processes of this one that are left when the engine is closed. */
  readonly processesLeft: number;
}

/** Of this process and its workers: resident memory without files in MB, and open descriptors. */
interface Sample { readonly runs: number; readonly ownMb: number; readonly workersMb: number; readonly workers: number; readonly fds: number }

interface Work { readonly engine: Engine; readonly tenant: string; readonly nonce: string }

const is = (result: RunResult, stdout: string, code = 0): string | null =>
  result.stdout.toString() === stdout && result.exitCode === code ? null : `${result.exitCode} ${result.reason ?? ''} ${result.stdout} ${result.stderr}`;

/** What is done, how often, and what was wrong about it. */
const KINDS: readonly (readonly [string, number, (work: Work) => Promise<string | null>])[] = [
  ['print', 30, async ({ engine, tenant, nonce }) => is(await engine.run('python', `print("${nonce}")`, { tenant }), `${nonce}\n`)],
  ['reuse', 40, async ({ engine, tenant, nonce }) => is(await engine.run('python', `print("${nonce}")`, { tenant, reuse: true }), `${nonce}\n`)],
  ['numpy', 6, async ({ engine, tenant, nonce }) =>
    is(await engine.run('python', `import numpy as np\nx = np.ones(50_000)\nprint("${nonce}", int(x.sum()))`, { tenant }), `${nonce} 50000\n`)],
  ['echo', 8, async ({ engine, tenant, nonce }) => is(await engine.exec('python', ['/bin/echo', nonce], { tenant }), `${nonce}\n`)],
  ['exit', 6, async ({ engine, tenant, nonce }) => is(await engine.run('python', `print("${nonce}")\nimport sys; sys.exit(7)`, { tenant }), `${nonce}\n`, 7)],
  ['error', 3, async ({ engine, tenant, nonce }) => is(await engine.run('python', `print("${nonce}")\n1 / 0`, { tenant }), `${nonce}\n`, 1)],
  ['crash', 2, async ({ engine, tenant, nonce }) =>
    is(await engine.run('python', `print("${nonce}", flush=True)\nimport os; os.kill(os.getpid(), 11)`, { tenant }), `${nonce}\n`, 139)],
  ['timeout', 1, async ({ engine, tenant, nonce }) =>
    is(await engine.run('python', `print("${nonce}", flush=True)\nwhile True: pass`, { tenant, timeoutMs: 2000 }), `${nonce}\n`, 124)],
  ['cancel', 1, cancel], ['stateful', 2, stateful],
];

async function cancel({ engine, tenant, nonce }: Work): Promise<string | null> {
  const stop = new AbortController();
  const result = await engine.run('python', `print("${nonce}", flush=True)\nwhile True: pass`, {
    tenant, signal: stop.signal, onStdout: () => stop.abort(),
  });
  return result.limit === 'cancelled' ? is(result, `${nonce}\n`, 130) : `not cancelled: ${result.limit}`;
}

async function stateful({ engine, tenant, nonce }: Work): Promise<string | null> {
  await using box = await (await engine.template('python')).fork({ stateful: true, tenant });
  await box.run(`x = "${nonce}"`);
  const [copy] = await box.fork(1);
  const results = await Promise.all([box, copy].map((each, i) => each.run(`x += "${i}"\nprint(x)`)));
  await copy.close();
  return is(results[0], `${nonce}0\n`) ?? is(results[1], `${nonce}1\n`);
}

const TOTAL = KINDS.reduce((sum, [, weight]) => sum + weight, 0);
const TENANTS = ['a', 'b', 'c'];
/** A worker is killed after so many runs. */
const KILL_EVERY = 5000;

function pick(): (typeof KINDS)[number] {
  let at = Math.random() * TOTAL;
  for (const kind of KINDS) {
    at -= kind[1];
    if (at < 0) return kind;
  }
  return KINDS[0];
}

function children(): number[] {
  const of = (pid: string): number => {
    try {
      return Number(/^PPid:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
    } catch {
      return 0;
    }
  };
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && of(name) === process.pid).map(Number);
}

function sample(runs: number): Sample {
  const mb = (pid: number): number => {
    try {
      return Number(/^RssAnon:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) / 1024;
    } catch {
      return 0;
    }
  };
  const fds = (pid: number): number => {
    try {
      return readdirSync(`/proc/${pid}/fd`).length;
    } catch {
      return 0;
    }
  };
  const workers = children();
  return {
    runs, ownMb: Math.round(mb(process.pid)), workersMb: Math.round(workers.reduce((sum, pid) => sum + mb(pid), 0)), workers: workers.length,
    fds: [process.pid, ...workers].reduce((sum, pid) => sum + fds(pid), 0),
  };
}

/** Does `runs` pieces of work, `clients` at a time. */
export async function soak(runs: number, clients: number, killEvery = KILL_EVERY): Promise<SoakReport> {
  const engine = await Engine.open();
  const startMs = performance.now();
  const done: Record<string, number> = {};
  const wrong: string[] = [];
  const samples: Sample[] = [];
  let begun = 0, lost = 0;
  await engine.template('python');
  const client = async (): Promise<void> => {
    while (begun < runs && wrong.length < 20) {
      const number = ++begun;
      if (number % killEvery === 0) process.kill(children()[0] ?? 0, 'SIGKILL');
      if (number % Math.ceil(runs / 10) === 0) samples.push(sample(number));
      const [name, , work] = pick();
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
  return { runs: begun, seconds: Math.round((performance.now() - startMs) / 1000), done, lost, wrong, samples, processesLeft: children().length };
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { runs: { type: 'string', default: '200000' }, clients: { type: 'string', default: '12' } } });
  const report = await soak(Number(values.runs), Number(values.clients));
  console.log(JSON.stringify(report, null, 1));
  process.exitCode = report.wrong.length > 0 || report.processesLeft > 0 ? 1 : 0;
}
