// Templates with a setup of their own, built and forked at the engine's level: what was seeded on purpose stays as seeded in
// every fork, what was not differs; a setup that cannot be frozen says why.

import assert from 'node:assert/strict';
import test from 'node:test';
import { buildTemplate } from '../../src/engine/build.ts';
import { Guest } from '../../src/engine/guest.ts';
import { KvmHost } from '../../src/engine/kvmhost.ts';
import { LoadedTemplate } from '../../src/engine/loaded.ts';
import { Pool } from '../../src/engine/pool.ts';
import { RUN_LIMITS, type RunEnd } from '../../src/engine/protocol.ts';
import { userSpec } from '../../src/engine/spec.ts';
import { specOf } from '../../src/image/specs.ts';
import { findImage, openImage } from '../../src/image/store.ts';
import { newHome } from './homehelp.ts';

const home = await newHome();
const host = KvmHost.open(home);
const PRELOAD = ['random', 'numpy', 'threading'];

async function build(source: string): Promise<LoadedTemplate> {
  const setup = { filename: 'setup.py', source };
  const spec = { ...userSpec({ name: 'setup', image: specOf('python'), preload: PRELOAD, setup }), usual: false };
  const path = `${home}/templates/setup.template`;
  buildTemplate(host, spec, openImage(home, findImage(home, 'python')?.id ?? ''), 'test', path);
  return LoadedTemplate.open(host, path);
}

/** One fork on this thread: what it printed. */
function fork(template: LoadedTemplate, code: string): string {
  let printed = '';
  const guest = Guest.fork(host, template, 512 << 20);
  guest.attach({
    output: (_stream, bytes, sent) => {
      printed += Buffer.from(bytes).toString();
      sent();
    },
    wake() {},
  });
  try {
    let end = null as RunEnd | null;
    guest.start({
      request: { kind: 'code', code: Buffer.from(code), filename: '<string>', argv: ['-c'], path0: '' },
      env: {}, cwd: '/', limits: { ...RUN_LIMITS, timeoutMs: 20_000, memoryBytes: 512 << 20, outputBytes: 1 << 20 }, strace: false, countPages: false,
    }, (how) => {
      end = how;
    });
    guest.stdin(null);
    while (end === null) guest.step(10_000_000);
    return printed;
  } finally {
    guest.destroy();
  }
}

function forks(template: LoadedTemplate, code: string, count: number): string[] {
  return Array.from({ length: count }, () => fork(template, code));
}

test('generators seeded on purpose stay as seeded; the others differ in every fork', async () => {
  const template = await build(`
import random, sys, types
import numpy as np
kept = types.ModuleType('kept')
kept.mine = random.Random(42)
kept.theirs = np.random.default_rng(42)
sys.modules['kept'] = kept
`);
  const expected = fork(template, 'import random, numpy as np; print(random.Random(42).random(), np.random.default_rng(42).random(3))');
  assert.deepEqual(new Set(forks(template, 'import kept; print(kept.mine.random(), kept.theirs.random(3))', 4)), new Set([expected]));
  for (const draw of ['random.random()', 'np.random.rand(3)', 'np.random.default_rng().random(3)', 'random.SystemRandom().random()']) {
    const drawn = forks(template, `import random, numpy as np; print(${draw})`, 4);
    assert.equal(new Set(drawn).size, 4, `${draw}: ${drawn.join('')}`);
  }
  template.release();
});

test('numpy\'s global generator seeded by the setup stays as seeded', async () => {
  const template = await build('import numpy as np, random\nnp.random.seed(5)\n');
  const expected = fork(template, 'import numpy as np; print(np.random.RandomState(5).rand(3))');
  assert.deepEqual(new Set(forks(template, 'import numpy as np; print(np.random.rand(3))', 3)), new Set([expected]));
  assert.equal(new Set(forks(template, 'import random; print(random.random())', 3)).size, 3);
  template.release();
});

test('forks that sleep before they could wait for a request are not made in advance for ever', async () => {
  const template = await build('import os, time\nos.register_at_fork(after_in_child=lambda: time.sleep(0.2))');
  const pool = new Pool(host, template, 2);
  pool.take(512 << 20).destroy();
  for (let i = 0; i < 20 && !pool.isFull; i++) pool.step();
  assert.ok(pool.isFull, 'it goes on trying');
  assert.equal(fork(template, 'print(1)'), '1\n');
  pool.destroy();
  template.release();
});

for (const [name, source, message] of [
  ['left a thread running', 'import threading, time\nthreading.Thread(target=time.sleep, args=(1000,), name="poller", daemon=True).start()',
    /the setup left threads running: poller/],
  ['left a process running', 'import subprocess\nsubprocess.Popen(["sleep", "1000"])', /left processes running: sleep/],
  ['raised', 'raise ValueError("not today")', /ValueError: not today/],
  ['ended the program', 'import sys; sys.exit(3)', /exited with 3 before its snapshot point/],
  ['waits for ever', 'import threading\nthreading.Lock().acquire()\nl = threading.Lock(); l.acquire(); l.acquire()', /waits for something that cannot come/],
] as const) {
  test(`a setup that ${name} is refused with a sentence`, async () => {
    await assert.rejects(build(source), (error: Error) => {
      assert.match(error.message, /^The template could not be built: [^\n]+\.$/);
      assert.match(error.message, message);
      return true;
    });
  });
}
