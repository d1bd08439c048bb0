// Every case natively and in a sandbox: output, errors, exit code and signal must be equal. A head line `differs: reason`
// marks a known difference; then only the run itself is required.

import { after, before, describe, test } from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { build, loadCases, variantsOf } from './cases.ts';
import { IS_RECORDED, cannotRunNatively, runNatively } from './native.ts';
import { Sandboxes, cannotRunInSandbox } from './sandbox.ts';

const HAS_GCC = IS_RECORDED || spawnSync('gcc', ['--version']).status === 0;
let sandboxes: Sandboxes;

before(async () => {
  sandboxes = await Sandboxes.open();
});
after(async () => {
  await sandboxes?.close();
});

describe('conformance', { concurrency: 2 }, () => {
  for (const variant of loadCases().flatMap(variantsOf)) {
    const { uid, timeoutMs, differs, language } = variant.case;
    const skip = language === 'c' && !HAS_GCC ? 'gcc is missing' : (cannotRunInSandbox(uid) ?? cannotRunNatively(uid) ?? false);
    test(variant.name, { skip }, async () => {
      const job = { program: await build(variant), language, uid, timeoutMs };
      const expected = await runNatively(job);
      const actual = await sandboxes.run(job);
      if (differs === null) assert.deepEqual(actual, expected);
    });
  }
});
