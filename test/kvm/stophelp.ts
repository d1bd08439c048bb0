// Builds that are killed in the middle of a phase: for tests of what that leaves.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ROOT } from './clihelp.ts';

export interface Stopped { readonly said: string; readonly isGone: boolean; readonly reached: boolean }

/** Starts a program of Node in a process group of its own and sends `signal` to all of it when it says `mark`. */
export async function stopAt(home: string, argv: readonly string[], mark: string, signal: NodeJS.Signals): Promise<Stopped> {
  const child = spawn(process.execPath, ['--no-warnings', ...argv], {
    detached: true, stdio: ['ignore', 'ignore', 'pipe'], env: { ...process.env, OFFSHOOT_HOME: home },
  });
  const group = -(child.pid as number);
  let said = '';
  let reached = false;
  const ended = new Promise<void>((done) => child.on('exit', () => done()));
  child.stderr.on('data', (bytes: Buffer) => {
    said += bytes.toString();
    if (reached || !said.includes(mark)) return;
    reached = true;
    process.kill(group, signal);
  });
  await ended;
  return { said, reached, isGone: await emptied(group) };
}

/** Whether all processes of a group end within some seconds. */
async function emptied(group: number): Promise<boolean> {
  for (let i = 0; i < 200; i++) {
    try {
      process.kill(group, 0);
    } catch {
      return true;
    }
    await new Promise((done) => setTimeout(done, 50));
  }
  return false;
}

/** A program with the library that says everything a build tells about itself. */
function telling(call: string): string[] {
  return ['--input-type=module', '-e', `import { Engine } from ${JSON.stringify(resolve(ROOT, 'src/engine/index.ts'))};
    const engine = await Engine.open({ workers: 1, onProgress: ({ message }) => process.stderr.write(message + '\\n') });
    await engine.${call};
    await engine.close();`];
}

/** Kills or interrupts a build when it says `mark`; nothing may go on running. */
export async function isInterrupted(home: string, call: string, mark: string, signal: NodeJS.Signals): Promise<void> {
  const { said, reached, isGone } = await stopAt(home, telling(call), mark, signal);
  assert.ok(reached, said);
  assert.ok(isGone, 'processes are left');
}

/** Names in the store that are no image's. */
export function unfinished(home: string, ...expected: string[]): void {
  const left = ['images', 'templates'].flatMap((part) => readdirSync(join(home, part))).filter((name) => !/^[0-9a-f]{64}$/.test(name));
  assert.deepEqual(left.sort(), expected);
  assert.deepEqual(readdirSync(join(home, 'cache')).filter((name) => name.startsWith('wheels-')), []);
}
