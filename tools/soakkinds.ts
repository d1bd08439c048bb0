// What a soak does (soak.ts): pieces of work on one engine, each of which knows what must come out of it. Answers carry a nonce.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Engine, RunResult, StatefulSandbox } from '../src/engine/index.ts';

export interface Work { readonly engine: Engine; readonly tenant: string; readonly nonce: string }

/** Does one piece of work; returns what was wrong about it, or null. */
type Kind = (work: Work) => Promise<string | null>;

const is = (result: RunResult, stdout: string, code = 0): string | null =>
  result.stdout.toString() === stdout && result.exitCode === code ? null : `${result.exitCode} ${result.reason ?? ''} ${result.stdout} ${result.stderr}`;

/** Name, how often of all, and what it is. */
const KINDS: readonly (readonly [string, number, Kind])[] = [
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
  ['cancel', 1, cancel], ['stateful', 2, stateful], ['copies', 1, copies],
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

const chance = (of: number): boolean => Math.random() < of;

/** Half of them none, the others of up to 32 ms: an interpreter is started and warmed meanwhile. */
const pause = (): Promise<void> => (chance(0.5) ? Promise.resolve() : sleep(2 ** (5 * Math.random())));

/** Copies made at any moment: of a sandbox just forked, while its interpreters start, are warmed and run, and while programs run. */
async function copies({ engine, tenant, nonce }: Work): Promise<string | null> {
  await using box = await (await engine.template('python')).fork({ stateful: true, tenant });
  await pause();
  const beside: Promise<RunResult>[] = [];
  const start = (run: Promise<RunResult>): void => {
    run.catch(() => {}); // its worker may be killed while nobody waits for it yet
    beside.push(run);
  };
  const contexts = [undefined];
  if (chance(0.3)) start(box.run(`x = "${nonce}"`));
  if (chance(0.3)) start(box.exec(['/bin/echo', nonce]));
  if (chance(0.3)) {
    const context = await box.createContext();
    contexts.push(context as never);
    if (chance(0.5)) start(box.run(`y = "${nonce}"`, { context }));
  }
  await pause();
  const made = await box.fork(1 + Math.floor(2 * Math.random()));
  if (chance(0.3)) made.push(...await made[0].fork(1));
  await pause();
  const wrong = await Promise.all([box, ...made].flatMap((each, i) => contexts.map((context) => says(each, `${nonce} ${i}`, context))));
  for (const copy of made) await copy.close();
  const besides = await Promise.all(beside);
  return wrong.find((each) => each !== null) ?? besides.map((each) => (each.exitCode === 0 ? null : is(each, nonce))).find((each) => each !== null) ?? null;
}

/** A run prints what it prints, to both streams, and nothing else is there. */
async function says(box: StatefulSandbox, text: string, context: string | undefined): Promise<string | null> {
  const result = await box.run(`import sys\nprint("${text}")\nprint("${text}", file=sys.stderr)`, context === undefined ? {} : { context });
  return is(result, `${text}\n`) ?? (result.stderr.toString() === `${text}\n` ? null : `stderr: ${result.stderr}`);
}

export const KIND_NAMES: readonly string[] = KINDS.map(([name]) => name);

/** One of the kinds with these names at random, as often as its weight says. */
export function pick(names: readonly string[]): { readonly name: string; readonly work: Kind } {
  const kinds = KINDS.filter(([name]) => names.includes(name));
  let at = Math.random() * kinds.reduce((sum, [, weight]) => sum + weight, 0);
  for (const [name, weight, work] of kinds) {
    at -= weight;
    if (at < 0) return { name, work };
  }
  return { name: kinds[0][0], work: kinds[0][2] };
}
