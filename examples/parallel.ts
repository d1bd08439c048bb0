// The same function over many inputs, each in a sandbox of its own: `node examples/parallel.ts`.

import { Engine } from 'offshoot';

await using engine = await Engine.open();
const inputs = [...Array(16).keys()];
const code = 'import sys; n = int(sys.argv[1]); print(sum(i * i for i in range(n * 1000)))';
const results = await Promise.all(inputs.map((n) => engine.run('python', code, { args: [String(n)], timeoutMs: 60_000 })));
console.log(results.map(({ stdout }) => Number(stdout.toString())).join(' '));
