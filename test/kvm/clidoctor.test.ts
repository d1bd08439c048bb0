// `offshoot doctor` on this host, and where things are wrong; completion scripts as shells read them; help and shell.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { MAIN, canUnshare, command, offshoot, run } from './clihelp.ts';

const dir = mkdtempSync(join(tmpdir(), 'offshoot-doctor-'));
before(async () => void (await run('pass'))); // what is missing is built here
after(() => rmSync(dir, { recursive: true }));

interface Report {
  readonly ok: boolean;
  readonly kind: string | null;
  readonly findings: readonly { readonly name: string; readonly level: string; readonly fix: string }[];
  readonly selftest?: readonly { readonly ok: boolean }[];
}

test('doctor: this host, as text and as JSON', async () => {
  const text = await offshoot(['doctor', '--selftest']);
  assert.equal(text.code, 0, text.stdout.toString());
  assert.match(text.stdout.toString(), /^ok +\/dev\/kvm[^]*\nok +isolation +(PVM-style|hardware virtualization)[^]*self-test: /);
  assert.match(text.stdout.toString(), /\nThis host can run sandboxes\.\n$/);
  const result = await offshoot(['doctor', '--json', '--selftest']);
  const report = JSON.parse(result.stdout.toString()) as Report;
  assert.deepEqual([report.ok, result.code], [true, 0]);
  assert.ok(report.kind === 'pvm' || report.kind === 'hardware');
  assert.ok((report.selftest?.length ?? 0) > 0);
  for (const { name, level, fix } of report.findings) assert.equal(fix === '', level === 'ok', name);
});

test('doctor: a home that cannot be, no apt-get', async () => {
  const file = join(dir, 'file');
  writeFileSync(file, '');
  const result = await offshoot(['doctor'], { env: { OFFSHOOT_HOME: file, PATH: dir } });
  assert.equal(result.code, 1);
  assert.match(result.stdout.toString(), /\nPROBLEM +home +[^\n]*\n +fix: set OFFSHOOT_HOME/);
  assert.match(result.stdout.toString(), /\nnote +apt-get +[^\n]*\n +fix: [^\n]*tar:FILE or dir:PATH/);
  assert.match(result.stdout.toString(), /cannot run sandboxes as it is\.\n$/);
});

/** Runs a program where ioctl(PAGEMAP_SCAN) answers ENOTTY, as before Linux 6.7. */
const WITHOUT_SCAN = `
import ctypes, os, struct, sys
op = lambda code, jt, jf, k: struct.pack("HBBI", code, jt, jf, k)
program = (op(0x20, 0, 0, 0) + op(0x15, 0, 3, 16) + op(0x20, 0, 0, 24) + op(0x15, 0, 1, 0xc0606610)
           + op(0x06, 0, 0, 0x50000 | 25) + op(0x06, 0, 0, 0x7fff0000))
kept = ctypes.create_string_buffer(program)
class Prog(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
prctl = ctypes.CDLL(None).prctl
assert prctl(38, 1, 0, 0, 0) == 0 and prctl(22, 2, ctypes.byref(Prog(6, ctypes.addressof(kept))), 0, 0) == 0
os.execv(sys.argv[1], sys.argv[1:])
`;

/** Other settings of the kernel than this host's; $0 is a scratch directory. */
const BAD_HOST = `mount -t tmpfs none "$0" && cd "$0" && mkdir -p cgroup/memory dev home &&
put() { test -e "$3" || return 0; echo "$2" > "$1" && mount --bind "$1" "$3"; } &&
mount -t tmpfs -o size=8m none home && put nx Y /sys/module/kvm/parameters/nx_huge_pages && put maps 1000 /proc/sys/vm/max_map_count &&
put thp "always madvise [never]" /sys/kernel/mm/transparent_hugepage/enabled && mount --rbind cgroup /sys/fs/cgroup &&
put memory "MemTotal: 500000 kB
MemAvailable: 50000 kB" /proc/meminfo && ulimit -n 600 && exec "$@"`;

test('doctor: everything that is wrong is found, with its fix', { skip: canUnshare() ? false : 'needs a mount namespace' }, async () => {
  const at = join(dir, 'bad');
  mkdirSync(at);
  const result = await command('unshare', ['-m', 'sh', '-c', BAD_HOST, at, process.execPath, '--no-warnings', MAIN, 'doctor', '--json'], {
    env: { OFFSHOOT_HOME: join(at, 'home') },
  });
  const { findings, ok } = JSON.parse(result.stdout.toString()) as Report;
  const bad = findings.filter(({ level }) => level !== 'ok').map(({ name, level }) => `${level} ${name}`);
  const wrongs = ['note control groups', 'note open files', 'note mappings', 'problem disk', 'problem memory'];
  if (existsSync('/sys/module/kvm/parameters/nx_huge_pages')) wrongs.push('note nx_huge_pages');
  if (existsSync('/sys/kernel/mm/transparent_hugepage')) wrongs.push('note huge pages');
  for (const wrong of wrongs) {
    assert.ok(bad.includes(wrong), `${wrong} is not in ${bad.join(', ')}`);
  }
  for (const { name, level, fix } of findings) assert.equal(fix === '', level === 'ok', name);
  assert.deepEqual([ok, result.code, result.stderr], [false, 1, '']);
});

test('doctor: no /dev/kvm, so no isolation', { skip: canUnshare() ? false : 'needs a mount namespace' }, async () => {
  const script = 'mount -t tmpfs none "$0" && : > "$0/null" && mount --bind /dev/null "$0/null" && mount --rbind "$0" /dev && exec "$@"';
  const at = join(dir, 'nokvm');
  mkdirSync(at);
  const result = await command('unshare', ['-m', 'sh', '-c', script, at, process.execPath, '--no-warnings', MAIN, 'doctor']);
  assert.match(result.stdout.toString(), /^PROBLEM +\/dev\/kvm +\/dev\/kvm does not exist\n +fix: load the module[^\n]*\nPROBLEM +isolation +none: [^\n]*\n/);
  assert.equal(result.code, 1);
});

test('doctor: a kernel without PAGEMAP_SCAN is slower, no problem', async () => {
  const result = await command('python3', ['-c', WITHOUT_SCAN, process.execPath, '--no-warnings', MAIN, 'doctor']);
  assert.match(result.stdout.toString(), /\nnote +PAGEMAP_SCAN +does not work [^\n]*\(ENOTTY\)[^\n]*\n +fix: Linux 6.7 or later\n/);
  assert.equal(result.code, 0, result.stderr);
});

test('completion: bash completes commands, sub-commands and options', async () => {
  const script = (await offshoot(['completion', 'bash'])).stdout.toString();
  const complete = async (...words: string[]): Promise<string[]> => {
    const line = `COMP_WORDS=(offshoot ${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length}`;
    const text = `${script}\n${line}; _offshoot; echo "\${COMPREPLY[@]}"`;
    return (await command('bash', ['-c', text], { spawn: { cwd: dir } })).stdout.toString().trim().split(' ');
  };
  assert.deepEqual(await complete('temp'), ['template']);
  assert.deepEqual(await complete('template', 'ins'), ['inspect']);
  assert.ok((await complete('run', '--')).includes('--workdir'));
  for (const shell of ['zsh', 'fish']) assert.match((await offshoot(['completion', shell])).stdout.toString(), /offshoot/);
  const other = await offshoot(['completion', 'tcsh']);
  assert.deepEqual([other.stderr, other.code], ['offshoot: completion is there for bash, zsh and fish, not "tcsh". [bad-argument]\n', 2]);
});

test('help: commands, and the pages of docs/', async () => {
  assert.match((await offshoot(['help', 'run'])).stdout.toString(), /^Usage: offshoot run/);
  assert.match((await offshoot(['help', 'errors'])).stdout.toString(), /^# Errors\n/);
  assert.match((await offshoot(['help', 'template', 'build'])).stdout.toString(), /^Usage: offshoot template build/);
  const other = await offshoot(['help', '../README']);
  assert.deepEqual([other.code, other.stdout.toString()], [2, '']);
  assert.match(other.stderr, /^offshoot: there is no command or topic [^\n]*errors[^\n]*\n$/);
});

test('shell: runs what comes on standard input', async () => {
  const result = await offshoot(['shell', '--workdir', '/tmp'], { stdin: 'pwd\nx=4; echo $((x + 1))\nexit 7\n' });
  assert.deepEqual([result.stdout.toString(), result.stderr, result.code], ['/tmp\n5\n', '', 7]);
});
