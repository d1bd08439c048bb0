// Building a template with wheels, killed in the middle of each phase: the next build finishes, and nothing is left.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { offshoot } from './clihelp.ts';
import { newHome } from './homehelp.ts';
import { isInterrupted, unfinished } from './stophelp.ts';
import { makeWheel } from './wheelhelp.ts';

const dir = mkdtempSync(join(tmpdir(), 'offshoot-wheels-'));
after(() => rmSync(dir, { recursive: true, force: true }));
const home = await newHome();
const env = { OFFSHOOT_HOME: home };

test('a build with wheels, killed while they are fetched, installed, byte-compiled', async () => {
  const wheel = makeWheel(dir, 'hello', '1.0', { 'hello.py': 'def main():\n    return 7\n' });
  const file = join(dir, 'requirements.txt');
  writeFileSync(file, `--no-index\n--find-links ${dir}\nhello\n`);
  await isInterrupted(home, `build("mine", { requirements: ${JSON.stringify(file)} })`, 'fetching the wheels', 'SIGKILL');
  for (const mark of ['installing Python packages', 'byte-compiling', 'building template']) {
    await isInterrupted(home, `build("mine", { wheels: [${JSON.stringify(wheel)}] })`, mark, 'SIGKILL');
  }
  const result = await offshoot(['run', '-t', 'mine', '-c', 'import hello; print(hello.main())'], { env });
  assert.deepEqual([result.stdout.toString(), result.code], ['7\n', 0], result.stderr);
  unfinished(home, 'mine.json', 'mine.json', 'mine.template', 'python.json');
});
