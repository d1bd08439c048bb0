// A worker process, from its first instruction: what runs in it is workerloop.ts. Modules are compiled when they are imported, so
// where that memory is to lie is settled before.

import '../host/lowaddresses.ts';

await import('./workerloop.ts');
