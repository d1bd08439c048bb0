// What the engine's tests share: one engine per file, on the user's home (built on first use), and one-line runs.

import { after } from 'node:test';
import { Engine, type RunInit, type RunResult, type Template } from '../../src/engine/index.ts';

/** How many times slower than usual this machine is: limits that programs must keep are so many times longer. */
export const SLOW = Number(process.env['OFFSHOOT_TEST_SLOW'] ?? 1);

let engine: Engine | null = null;
let template: Promise<Template> | null = null;

/** The engine of this test file, closed after its tests. */
export async function testEngine(): Promise<Engine> {
  engine ??= await Engine.open({ workers: 1 });
  return engine;
}

after(async () => engine?.close());

/** The default template. */
export async function pythonTemplate(): Promise<Template> {
  template ??= (await testEngine()).template('python');
  return template;
}

/** Forks, runs Python code, closes. */
export async function py(code: string, init: RunInit & { memory?: number } = {}): Promise<RunResult> {
  const sandbox = await (await pythonTemplate()).fork(init.memory === undefined ? {} : { memoryBytes: init.memory });
  try {
    return await sandbox.run(code, init);
  } finally {
    await sandbox.close();
  }
}

/** Forks, runs a program of the image, closes. */
export async function sh(command: string, init: RunInit = {}): Promise<RunResult> {
  const sandbox = await (await pythonTemplate()).fork();
  try {
    return await sandbox.exec(['/bin/bash', '-c', command], init);
  } finally {
    await sandbox.close();
  }
}

/** stdout as text. */
export function text(result: RunResult): string {
  return result.stdout.toString('utf8');
}
