// What a worker has left when guests run in it: tried from inside by confineprobe.ts, and looked at from outside.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import test from 'node:test';
import { Engine } from '../../src/engine/index.ts';
import { clocksource } from '../../src/vmm/vvar.ts';
import { ROOT, command, offshoot } from './clihelp.ts';
import { newHome } from './homehelp.ts';
import { commandLine, descendants, openFiles, threadStatus } from './prochelp.ts';
import { makeWheel } from './wheelhelp.ts';

const isRoot = process.getuid?.() === 0;
const PROBE = resolve(ROOT, 'test/kvm/confineprobe.ts');
/** Runs until its input ends, which is when the probe has spoken. */
const WAIT = 'import sys; print("still", sys.stdin.read(), "here")';

test('a worker is refused everything that leads out of it', async () => {
  let said = '';
  const result = await offshoot(['run', '-c', WAIT], {
    stdin: null, env: { NODE_OPTIONS: `--no-warnings --import ${PROBE}` },
    onStderr: (child, text) => {
      said += text;
      if (/PROBE .*\n/.test(said)) child.stdin?.end('ok');
    },
  });
  const results = JSON.parse(/PROBE (.*)/.exec(said)?.[1] ?? '{}') as Record<string, string>;
  assert.deepEqual(Object.entries(results).filter(([, outcome]) => outcome !== 'refused'), []);
  assert.ok(Object.keys(results).length > 100, said);
  assert.equal(result.stdout.toString(), 'still ok here\n', 'the sandbox goes on meanwhile');
});

test('the process that runs what a template is built of is refused the same', async () => {
  const env = { NODE_OPTIONS: `--no-warnings --import ${PROBE}`, OFFSHOOT_HOME: await newHome() };
  const { stderr, code } = await offshoot(['template', 'build', 'python'], { env });
  const results = JSON.parse(/FREEZER (.*)/.exec(stderr)?.[1] ?? '{}') as Record<string, string>;
  assert.deepEqual(Object.entries(results).filter(([, outcome]) => outcome !== 'refused'), []);
  assert.ok(Object.keys(results).length > 100, stderr);
  assert.equal(code, 0, stderr);
});

/** It makes the wheel; the emulated machine has none. */
const noPython = spawnSync('python3', ['--version']).status !== 0 && 'python3 is missing';

test('and so are those in which programs of an image run while it is built: to ask for wheels, unpack, byte-compile', { skip: noPython }, async () => {
  const dir = mkdtempSync(join(tmpdir(), 'offshoot-wheels-'));
  try {
    makeWheel(dir, 'hello', '1.0', { 'hello.py': 'def main():\n    return 7\n' });
    writeFileSync(join(dir, 'requirements.txt'), `--no-index\n--find-links ${dir}\nhello\n`);
    const env = { NODE_OPTIONS: `--no-warnings --import ${PROBE}`, OFFSHOOT_HOME: await newHome() };
    const { stderr, code } = await offshoot(['template', 'build', 'mine', '--requirements', join(dir, 'requirements.txt')], { env });
    assert.equal(code, 0, stderr);
    const each = [...stderr.matchAll(/FREEZER (.*)/g)].map(([, results]) => JSON.parse(results) as Record<string, string>);
    assert.equal(each.length, 4, stderr); // and the template's program
    for (const results of each) {
      assert.deepEqual(Object.entries(results).filter(([, outcome]) => outcome !== 'refused'), []);
      assert.ok(Object.keys(results).length > 100, stderr);
    }
    const used = await offshoot(['run', '-t', 'mine', '-c', 'import hello; print(hello.main())'], { env: { OFFSHOOT_HOME: env.OFFSHOOT_HOME } });
    assert.equal(used.stdout.toString(), '7\n');
    assert.deepEqual(readdirSync(join(env.OFFSHOOT_HOME, 'cache')).filter((name) => /^(shot|wheels)-/.test(name)), []);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});

/** Opens an engine with a sandbox in it and gives the worker's process id. */
async function withWorker(body: (pid: number, engine: Engine) => void | Promise<void>): Promise<void> {
  await using engine = await Engine.open({ workers: 1 });
  const sandbox = await (await engine.template('python')).fork();
  assert.equal((await sandbox.run('print(1+1)')).stdout.toString(), '2\n');
  const pid = descendants(process.pid).find((each) => commandLine(each).includes('/engine/worker.'));
  assert.ok(pid !== undefined);
  await body(pid, engine);
}

test('all threads of a worker are filtered and hold no capability; root becomes somebody else', () => withWorker((pid) => {
  const every = (field: string, expected: RegExp): void => {
    const values = threadStatus(pid, field);
    assert.ok(values.length > 1 && values.every((value) => expected.test(value)), `${field}: ${values.join(', ')}`);
  };
  every('Seccomp', /^2$/);
  every('NoNewPrivs', /^1$/);
  for (const set of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) every(set, /^0+$/);
  if (!isRoot) return;
  every('Uid', /^(6[01]\d{3})\t\1\t\1\t\1$/);
  every('Gid', /^(6[01]\d{3})\t\1\t\1\t\1$/);
  every('Groups', /^$/);
}));

test('a worker has only its devices open, its parent and, to read, what it was given', { skip: !isRoot && 'only root can look' }, () => withWorker((pid) => {
  const files = openFiles(pid).filter(({ fd }) => fd > 2);
  const own = /^(anon_inode:|socket:|pipe:|\/memfd:offshoot|\/dev\/kvm$|\/dev\/null$|\/proc\/\d+\/pagemap$|\/sys\/.*\/current_clocksource$)/;
  const given = files.filter(({ path }) => !own.test(path));
  assert.deepEqual(given.map(({ path, mode }) => `${mode} ${path.split('/').at(-1)}`), ['r python.template']);
}));

test('a worker writes no core file, and the number of its open files is fixed', { skip: !isRoot && 'only root can look' }, () => withWorker((pid) => {
  const limits = readFileSync(`/proc/${pid}/limits`, 'utf8');
  assert.match(limits, /^Max core file size +0 +0 /m);
  assert.match(limits, /^Max open files +(\d+) +\1 /m);
}));

test('a worker does not get the environment of its parent', { skip: !isRoot && 'only root can look' }, async () => {
  process.env['OFFSHOOT_TEST_SECRET'] = 'do not tell';
  try {
    await withWorker((pid) => assert.doesNotMatch(readFileSync(`/proc/${pid}/environ`, 'utf8'), /SECRET|HOME=/));
  } finally {
    delete process.env['OFFSHOOT_TEST_SECRET'];
  }
});

test('the self-test reports what is on', () => withWorker(async (_pid, engine) => {
  const { confinement } = await engine.selfTest();
  const state = new Map(confinement.map(({ name, on }) => [name, on]));
  for (const name of ['seccomp', 'no_new_privs', 'not dumpable', 'capabilities', 'ends with its parent']) assert.equal(state.get(name), true, name);
  assert.equal(state.get('own user'), isRoot);
  assert.ok(state.has('landlock'));
}));

test('the clock of a sandbox stays fast in a confined worker', async (t) => {
  if (clocksource() !== 'tsc') return t.skip('this host has no trusted TSC');
  await using engine = await Engine.open({ workers: 1 });
  const sandbox = await (await engine.template('python')).fork();
  const { syscalls, stderr } = await sandbox.run('import time\ntime.sleep(1.5)\nfor _ in range(50_000): time.monotonic()');
  assert.ok(syscalls < 10_000, `${syscalls} system calls ${stderr.toString()}`);
});

/** A /dev/kvm that all may use, as `docker run --device /dev/kvm` gives it, seen by the command alone. */
const DEVICE = 'd=$(mktemp -d); mknod $d/kvm c 10 232 && chmod 666 $d/kvm && mount --bind $d/kvm /dev/kvm && rm -r $d && exec "$@"';
const WITH_DEVICE = ['unshare', '--mount', 'sh', '-c', DEVICE, 'sh'];
/** An unprivileged user, and root of a user namespace: what is left of root in most containers. */
const UNPRIVILEGED = ['setpriv', '--reuid=1234', '--regid=1234', '--clear-groups', '--inh-caps=-all', '--bounding-set=-all'];
const CONTAINERS: readonly (readonly [string, readonly string[]])[] = [
  ['an unprivileged user', UNPRIVILEGED],
  ['an unprivileged user who may gain nothing', [...UNPRIVILEGED, '--no-new-privs']],
  ['root of a user namespace', [...UNPRIVILEGED.slice(0, -1), 'unshare', '--user', '--map-root-user', '--mount', '--ipc', '--uts']],
];

for (const [who, prefix] of CONTAINERS) {
  test(`it works as ${who}`, { skip: !isRoot && 'only root can become others' }, async (t) => {
    const [program, ...before] = [...WITH_DEVICE, ...prefix];
    const look = spawnSync(program, [...before, 'sh', '-c', `test -r ${ROOT}/package.json -a -w /dev/kvm -a -x ${process.execPath} || echo no`]);
    if (look.status !== 0 || look.stdout.length > 0) return t.skip(`no such user here, or one who cannot read the sources: ${look.stderr}`);
    const home = await newHome();
    spawnSync('chown', ['-R', '1234:1234', home]);
    const env = { OFFSHOOT_HOME: home, HOME: home };
    const args = [...before, process.execPath, '--no-warnings', 'src/cli/main.ts', 'run', '-c', 'import numpy; print(numpy.arange(4).sum())'];
    for (const mode of ['building', 'ready']) {
      const result = await command(program, args, { env });
      assert.equal(result.stdout.toString(), '6\n', `${mode}: ${result.stderr}`);
    }
  });
}
