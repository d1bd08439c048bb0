// Kinds of a soak's work (soakkinds.ts) with sandboxes that stay: copies of them, made at any moment.

import type { RunResult, StatefulSandbox } from '../src/engine/index.ts';
import { chance, is, pause, type Work } from './soakjudge.ts';

export async function stateful({ engine, tenant, nonce }: Work): Promise<string | null> {
  await using box = await (await engine.template('python')).fork({ stateful: true, tenant });
  const set = is(await box.run(`x = "${nonce}"`), '');
  const [copy] = await box.fork(1);
  const results = await Promise.all([box, copy].map((each, i) => each.run(`x += "${i}"\nprint(x)`)));
  await copy.close();
  return set ?? is(results[0], `${nonce}0\n`) ?? is(results[1], `${nonce}1\n`);
}

/** Copies made at any moment: of a sandbox just forked, while its interpreters start, are warmed and run, and while programs run. */
export async function copies({ engine, tenant, nonce }: Work): Promise<string | null> {
  await using box = await (await engine.template('python')).fork({ stateful: true, tenant });
  await pause();
  const beside: Promise<string | null>[] = [];
  const start = (run: Promise<RunResult>, stdout = ''): void => {
    const judged = run.then((result) => is(result, stdout));
    judged.catch(() => {}); // its worker may be killed while nobody waits for it yet
    beside.push(judged);
  };
  const contexts = [undefined];
  if (chance(0.3)) start(box.run(`x = "${nonce}"`));
  if (chance(0.3)) start(box.exec(['/bin/echo', nonce]), `${nonce}\n`);
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
  return [...wrong, ...await Promise.all(beside)].find((each) => each !== null) ?? null;
}

/** A run prints what it prints, to both streams, and nothing else is there. */
async function says(box: StatefulSandbox, text: string, context: string | undefined): Promise<string | null> {
  const result = await box.run(`import sys\nprint("${text}")\nprint("${text}", file=sys.stderr)`, context === undefined ? {} : { context });
  return is(result, `${text}\n`) ?? (result.stderr.toString() === `${text}\n` ? null : `stderr: ${result.stderr}`);
}
