// A home directory for one test: the user's image and self-test result, no template.

import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { Engine, type Progress } from '../../src/engine/index.ts';
import { offshootHome } from '../../src/image/home.ts';
import { findImage } from '../../src/image/store.ts';

const made: string[] = [];
after(() => made.forEach((dir) => rmSync(dir, { recursive: true, force: true })));

/** A new home with the image of the user's own (built first when it is missing). Removed after the tests. */
export async function newHome(): Promise<string> {
  const from = offshootHome();
  const engine = await Engine.open({ workers: 1 });
  await engine.template('python');
  await engine.close();
  const home = mkdtempSync(join(tmpdir(), 'offshoot-home-'));
  made.push(home);
  mkdirSync(join(home, 'images'));
  for (const name of ['python.json', findImage(from, 'python')?.id ?? '']) {
    cpSync(join(from, 'images', name), join(home, 'images', name), { recursive: true, preserveTimestamps: true });
  }
  if (existsSync(join(from, 'selftest.json'))) cpSync(join(from, 'selftest.json'), join(home, 'selftest.json'));
  return home;
}

/** Opens an engine on `home`, runs one program, closes: what it printed and which phases of building it went through. */
export async function useHome(home: string, code = 'print(1+1)'): Promise<{ printed: string; messages: string[]; phases: string[] }> {
  const progress: Progress[] = [];
  const engine = await Engine.open({ home, workers: 1, onProgress: (step) => void progress.push(step) });
  try {
    const sandbox = await (await engine.template('python')).fork();
    const result = await sandbox.run(code);
    const printed = result.stdout.toString() + result.stderr.toString();
    return { printed, messages: progress.map((step) => step.message), phases: progress.map((step) => step.phase) };
  } finally {
    await engine.close();
  }
}
