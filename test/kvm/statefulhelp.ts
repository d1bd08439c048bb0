// What the tests of stateful sandboxes share.

import type { StatefulInit, StatefulSandbox } from '../../src/engine/index.ts';
import { pythonTemplate } from './enginehelp.ts';

/** A sandbox for one test, closed after it. */
export async function using(test: (box: StatefulSandbox) => Promise<void>, init: Omit<StatefulInit, 'stateful'> = {}): Promise<void> {
  const box = await (await pythonTemplate()).fork({ stateful: true, ...init });
  try {
    await test(box);
  } finally {
    await box.close();
  }
}
