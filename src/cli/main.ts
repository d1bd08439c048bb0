#!/usr/bin/env node
// The `offshoot` command. It starts the worker process first, so that it is there when the arguments have been read.

import { startAhead } from '../engine/workerprocess.ts';
import { offshootHome } from '../image/home.ts';

if (process.argv[2] === 'run' || process.argv[2] === 'exec') {
  try {
    startAhead(offshootHome());
  } catch { /* told when the engine is opened */ }
}
const { main } = await import('./program.ts');
await main();
