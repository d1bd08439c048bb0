// Grades submissions nobody trusts: each case in a sandbox of its own with limits. `node examples/grader.ts`

import { Engine } from 'offshoot';

const cases = [['3', '6'], ['10', '55'], ['100', '5050']] as const;
const submissions = {
  right: 'n = int(input())\nprint(n * (n + 1) // 2)',
  wrong: 'n = int(input())\nprint(n * n)',
  endless: 'while True: pass',
  greedy: 'x = "x" * 10**10',
  fork: 'import os\nwhile True: os.fork()',
};

await using engine = await Engine.open();
for (const [name, code] of Object.entries(submissions)) {
  const verdicts = await Promise.all(cases.map(async ([input, expected]) => {
    const limits = { timeoutMs: 30_000, cpuTimeMs: 1000, memoryBytes: 256 << 20, processes: 8, outputBytes: 1 << 20 };
    const result = await engine.run('python', code, { stdin: `${input}\n`, ...limits });
    if (result.limit) return result.limit;
    if (result.exitCode !== 0) return 'failed';
    return result.stdout.toString().trim() === expected ? 'ok' : 'wrong';
  }));
  console.log(`${name}: ${verdicts.join(' ')}`);
}
