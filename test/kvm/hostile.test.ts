// Hostile guests on KVM: whatever a program does, it only ends itself. Programs in test/kvm/hostile/; what must hold of every run
// is in hostilehelp.ts.

import assert from 'node:assert/strict';
import test from 'node:test';
import { SLOW, pythonTemplate } from './enginehelp.ts';
import { cannotBuild } from './hostilebuild.ts';
import { assertHarmless, attack } from './hostilehelp.ts';

const BUILT = { skip: cannotBuild };

test('forged signal frames, handlers and stacks anywhere', BUILT, async () => {
  const result = await attack('frames', ['90', '1'], 90_000);
  assert.equal(result.stdout.toString(), 'exited or signalled 90, stuck 0\n');
});

test('damaged ELF headers and chains of scripts', BUILT, async () => {
  const result = await attack('elf', ['200', '1'], 90_000);
  assert.equal(result.stdout.toString(), 'chain 99\ndone 200\n');
});

test('mappings in every corner, counts of every size', BUILT, async () => {
  const result = await attack('memory', [], 120_000);
  assert.equal(result.stdout.toString(), 'pairs done\ndestroyed\ndone\n', result.stderr.toString());
});

test('memory that was freed or cut off never shows', BUILT, async () => {
  const result = await attack('leaks', []);
  assert.equal(result.stdout.toString(), 'done\n');
});

const ENDLESS: readonly (readonly [string, string])[] = [
  ['exitsig', 'waited\n'], ['zombies', 'Resource temporarily unavailable\n'], ['timers', 'awake\n'],
  ['deep', 'getcwd: File name too long\nmapped 3000\n'], ['hidden', 'soon\nkept 20000\n'],
  ['threads', 'threads end\nfork: Resource temporarily unavailable\n'], ['signals', 'Resource temporarily unavailable\n'],
];
for (const [part, output] of ENDLESS) {
  test(`without end: ${part}`, BUILT, async () => {
    const result = await attack('processes', [part], 60_000);
    assert.equal(result.stdout.toString(), output, result.reason ?? '');
  });
}

// The agent gives its channel up before it runs anything: user code finds no descriptor but its own three.
const CHANNEL: readonly (readonly [string, string])[] = [
  ['is not there', 'import os; fds = os.listdir("/proc/self/fd"); print("mine" if sorted(fds)[:3] == ["0", "1", "2"] and len(fds) == 4 else fds)'],
  ['cannot be opened',
    'import os\nfor fd in range(3, 64):\n    try: os.open(f"/proc/self/fd/{fd}", os.O_RDWR); print(fd)\n    except OSError: pass\nprint("mine")'],
  ['all descriptors closed', 'import os; os.closerange(3, 4096); print("mine")'],
  ['another in its place', 'import os; r, w = os.pipe(); os.dup2(r, 3); os.dup2(w, 4); os.write(4, b"{}"); print("mine")'],
  ['forks', 'import os\nfor _ in range(20):\n    if os.fork() == 0: os._exit(0)\nfor _ in range(20): os.wait()\nprint("mine")'],
];
for (const [name, code] of CHANNEL) {
  test(`control channel: ${name}`, async () => {
    const sandbox = await (await pythonTemplate()).fork();
    const result = await sandbox.run(code, { timeoutMs: 20_000 * SLOW });
    await sandbox.close();
    assert.equal(result.stdout.toString(), 'mine\n', result.stderr.toString());
    await assertHarmless(result, 20_000 * SLOW);
  });
}

test('floods of output are held back and cut', async () => {
  const sandbox = await (await pythonTemplate()).fork();
  const flood = 'yes $(head -c 60000 /dev/zero | tr "\\0" y) & yes >&2';
  const result = await sandbox.exec(['/bin/bash', '-c', flood], { timeoutMs: 30_000 * SLOW, outputBytes: 20 << 20 });
  await sandbox.close();
  assert.equal(result.limit, 'output');
  assert.equal(result.stdout.length + result.stderr.length, 20 << 20);
  await assertHarmless(result, 30_000 * SLOW);
});

test('names of JavaScript are names like others', async () => {
  const sandbox = await (await pythonTemplate()).fork();
  const code = `
import os
names = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__', 'then']
os.chdir('/tmp')
for name in names:
    for place in ('', '/proc/', '/proc/sys/', '/dev/'):
        assert not os.path.exists(place + name), place + name
    open(name, 'w').write(name)
    os.setxattr(name, 'user.' + name, name.encode())
    assert open(name).read() == name and os.listxattr(name) == ['user.' + name] and os.getxattr(name, 'user.' + name) == name.encode()
print(sorted(os.listdir()) == sorted(names))
`;
  const result = await sandbox.run(code, { env: { ['__proto__']: 'x', constructor: 'y' } });
  await sandbox.close();
  assert.equal(result.stdout.toString(), 'True\n', result.stderr.toString());
});
