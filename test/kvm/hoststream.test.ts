// Standard streams by name: scripts open /dev/stdin, /dev/stdout and /dev/stderr.

import assert from 'node:assert/strict';
import test from 'node:test';
import { sh, text } from './enginehelp.ts';

test('the standard streams can be opened by name', async () => {
  const result = await sh('cat /dev/stdin; echo out > /dev/stdout; echo err > /dev/stderr; echo x | tee /dev/stderr', { stdin: 'in\n' });
  assert.equal(text(result), 'in\nout\nx\n');
  assert.equal(result.stderr.toString(), 'err\nx\n');
  assert.equal(result.exitCode, 0);
});
