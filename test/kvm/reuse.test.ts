// `reuse`: runs in VMs that ran before, through the engine. That nothing of an earlier run is left in memory, registers and
// translations is proved in rewind.test.ts; here, that programs find nothing, and that only those who want it get such a VM.

import assert from 'node:assert/strict';
import test from 'node:test';
import type { RunInit, RunResult } from '../../src/engine/index.ts';
import { pythonTemplate, text } from './enginehelp.ts';

/** One run in a VM that may have run before, and may run again. */
async function reuse(code: string, init: RunInit = {}): Promise<RunResult> {
  const sandbox = await (await pythonTemplate()).fork({ reuse: true });
  try {
    return await sandbox.run(code, init);
  } finally {
    await sandbox.close();
  }
}

/** The first run of `code` in a rewound VM; `hostile` runs before it. */
async function afterwards(hostile: string, code: string, init: RunInit = {}): Promise<RunResult> {
  for (let i = 0; i < 50; i++) {
    await reuse(hostile, init);
    const result = await reuse(code);
    if (result.rewound) return result;
  }
  throw new Error('no run had a rewound VM');
}

test('a VM is used again, only by who wants it', async () => {
  assert.equal(text(await afterwards('print(1)', 'print(2)')), '2\n');
  for (let i = 0; i < 4; i++) {
    const sandbox = await (await pythonTemplate()).fork();
    assert.equal((await sandbox.run('print(3)')).rewound, false);
    await sandbox.close();
  }
});

const LEAVE = `
import os, sys, builtins, threading, signal, subprocess, numpy as np
builtins.left = sys.left = os.left = 'left'
os.environ['LEFT'] = 'left'
open('/tmp/left', 'w').write('left'); os.mkdir('/home/user/left'); os.chdir('/tmp')
np.random.seed(1); signal.signal(signal.SIGUSR1, lambda *a: None); sys.setrecursionlimit(77)
threading.Thread(target=lambda: signal.pause(), daemon=True).start()
subprocess.Popen(['/bin/sleep', '100'])
data = bytearray(b'left' * 5_000_000)
signal.setitimer(signal.ITIMER_REAL, 100)
`;
const LOOK = `
import os, sys, builtins, threading, signal
print(hasattr(builtins, 'left'), hasattr(sys, 'left'), 'LEFT' in os.environ, os.listdir('/tmp'), os.listdir('/home/user'), os.getcwd())
print(signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL, sys.getrecursionlimit(), threading.active_count(), signal.getitimer(0))
print(sorted(int(p) for p in os.listdir('/proc') if p.isdigit()) == [os.getpid()], sorted(os.listdir('/proc/self/fd')))
`;

test('a program finds what it would find in a new VM', async () => {
  const fresh = await (await pythonTemplate()).fork();
  const expected = text(await fresh.run(LOOK));
  await fresh.close();
  assert.equal(text(await afterwards(LEAVE, LOOK)), expected);
});

test('however the run before it ended', async () => {
  const ends: [string, RunInit][] = [
    ['import os; os.kill(os.getpid(), 9)', {}], ['while True: pass', { timeoutMs: 30 }], ['import time; time.sleep(100)', { timeoutMs: 30 }],
    ['x = bytearray(1 << 30)', {}], ['while True: print("x" * 1000)', { outputBytes: 10_000 }], ['import ctypes; ctypes.string_at(0)', {}],
    ['import os\nfor i in range(20): os.fork()\nos._exit(3)', { timeoutMs: 300 }],
  ];
  for (const [code, init] of ends) assert.equal(text(await afterwards(code, 'print(6 * 7)', init)), '42\n', code);
});

test('runs in one VM are no twins', async () => {
  const code = 'import os, random, numpy as np, uuid\nprint(os.getpid(), random.random(), np.random.rand(), uuid.uuid4(), os.urandom(8).hex())';
  const seen = new Set<string>();
  let rewound = 0;
  for (let i = 0; i < 30; i++) {
    const result = await reuse(code);
    if (result.rewound) rewound++;
    for (const [at, word] of text(result).trim().split(' ').entries()) if (at > 0) seen.add(word);
  }
  assert.ok(rewound > 5, `${rewound} of 30 were rewound`);
  assert.equal(seen.size, 120);
});
