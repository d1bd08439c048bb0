#!/usr/bin/env node
// The `offshoot` command. It starts the worker process first, so that it is there when the arguments have been read. Everything
// else is loaded only where it can run.

import { hostProblem } from '../engine/supported.ts';

/** What runs something, or is about to. */
const STARTS_WORKER = new Set(['run', 'exec', 'serve']);

async function start(): Promise<void> {
  const isHere = !process.argv.some((word) => word === '--server' || word.startsWith('--server='));
  if (isHere && STARTS_WORKER.has(process.argv[2])) {
    const { startAhead } = await import('../engine/workerprocess.ts');
    const { offshootHome } = await import('../image/home.ts');
    try {
      startAhead(offshootHome());
    } catch { /* told when the engine is opened */ }
  }
  const { main } = await import('./program.ts');
  await main();
}

const problem = hostProblem();
if (problem === null) await start();
else {
  process.stderr.write(`offshoot: ${problem} [host-unsupported]\n`);
  process.exitCode = 2;
}
