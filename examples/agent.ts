// A tool loop: a model writes code, a sandbox runs it, the model sees what it printed. The model here is a script: put a real one in
// its place. `node examples/agent.ts`

import { Engine } from 'offshoot';

/** What a model would answer, turn by turn: code to run, or at last its answer. */
const model = [
  (_seen: string) => ({ code: 'print(open("sales.csv").read())' }),
  (_seen: string) => ({ code: 'rows = [line.split(",") for line in open("sales.csv")][1:]\nprint(sum(int(n) for _, n in rows) / 0)' }),
  (seen: string) => ({
    code: `# it said ${seen.trim().split('\n').at(-1)}\nrows = [line.split(",") for line in open("sales.csv")][1:]\nprint(sum(int(n) for _, n in rows))`,
  }),
  (seen: string) => ({ answer: `The total is ${seen.trim()}.` }),
];

await using engine = await Engine.open();
let seen = '';
for (const turn of model) {
  const step: { code?: string; answer?: string } = turn(seen);
  if (step.answer !== undefined) {
    console.log(step.answer);
    break;
  }
  const mounts = { 'sales.csv': 'who,n\nann,3\nbob,4\n' };
  const result = await engine.run('python', step.code ?? '', { mounts, timeoutMs: 20_000, cpuTimeMs: 10_000 });
  seen = result.exitCode === 0 ? result.stdout.toString() : result.stderr.toString();
  console.log(`--- exit ${result.exitCode}\n${seen.trimEnd().split('\n').at(-1)}`);
}
