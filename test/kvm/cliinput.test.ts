// The command's --json object, its template commands, and every wrong input: one line on stderr that starts `offshoot: `, exit
// code 2, no stack trace; with no or a forbidden /dev/kvm the same.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import test, { after, before } from 'node:test';
import { isErrorCode } from '../../src/engine/errors.ts';
import { ROOT, canUnshare, command, offshoot, run, type CliResult } from './clihelp.ts';

const dir = mkdtempSync(join(tmpdir(), 'offshoot-cli-'));
before(async () => void (await run('pass')));
after(() => rmSync(dir, { recursive: true }));

function isOneLine(result: CliResult, what: RegExp, name: string): void {
  const code = /^offshoot: [^\n]+ \[([\w-]+)\]\n$/.exec(result.stderr)?.[1];
  assert.ok(isErrorCode(code), `${name}: ${result.stderr}`);
  assert.match(result.stderr, what, name);
  assert.deepEqual([result.stdout.toString(), result.code], ['', 2], name);
}

const WRONG: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['nothing to run', ['run'], /nothing to run/],
  ['no command to exec', ['exec'], /missing required argument/],
  ['missing file', ['run', '/nonexistent.py'], /cannot read \/nonexistent.py: no such file/],
  ['directory', ['run', '/tmp'], /it is a directory/],
  ['file below a file', ['run', '/etc/passwd/x.py'], /cannot read/],
  ['unknown template', ['run', '-t', 'nonesuch', '-c', 'pass'], /nknown template "nonesuch": there is "python"/],
  ['unknown template to build', ['template', 'build', 'nonesuch'], /Unknown template "nonesuch"/],
  ['unknown template to remove', ['template', 'rm', 'nonesuch'], /Unknown template "nonesuch"/],
  ['template path', ['template', 'rm', '../template'], /Unknown template/],
  ['timeout no number', ['run', '--timeout', '1s', '-c', 'pass'], /--timeout needs a number above 0, not "1s"/],
  ['timeout empty', ['run', '--timeout', '', '-c', 'pass'], /--timeout/],
  ['timeout zero', ['run', '--timeout', '0', '-c', 'pass'], /--timeout/],
  ['timeout negative', ['run', '--timeout', '-1', '-c', 'pass'], /--timeout/],
  ['timeout infinite', ['run', '--timeout', 'Infinity', '-c', 'pass'], /--timeout/],
  ['timeout missing', ['run', '--timeout'], /argument missing/],
  ['memory no number', ['run', '--memory', 'much', '-c', 'pass'], /--memory needs a number/],
  ['memory too small', ['run', '--memory', '1', '-c', 'pass'], /--memory needs a number from 16 to 4096/],
  ['memory too large', ['run', '--memory', '1e9', '-c', 'pass'], /--memory needs a number from 16 to 4096/],
  ['exec: memory no number', ['exec', '--memory', '?', '--', 'true'], /--memory needs a number/],
  ['env without =', ['run', '--env', 'NAME', '-c', 'pass'], /--env needs NAME=VALUE, not "NAME"/],
  ['env without name', ['run', '--env', '=x', '-c', 'pass'], /--env needs NAME=VALUE/],
  ['unknown option', ['run', '--nonesuch', '-c', 'pass'], /unknown option '--nonesuch'/],
  ['unknown command', ['nonesuch'], /unknown command 'nonesuch'/],
  ['template without command', ['template'], /template needs a command/],
  ['template with another command', ['template', 'nonesuch'], /template needs a command/],
  ['template build without name', ['template', 'build'], /missing required argument/],
  ['template with more', ['template', 'ls', 'extra'], /too many arguments/],
  ['template name', ['template', 'build', '../x', '--package', 'tree'], /name has up to 63 letters.*not "..\/x"/],
  ['template name in capitals', ['template', 'build', 'Mine', '--env', 'A=b'], /name has up to 63 letters/],
  ['built-in template with options', ['template', 'build', 'python', '--package', 'tree'], /"python" comes with Offshoot/],
  ['unknown source', ['template', 'build', 'x', '--from', 'zip:a'], /from debian, dir:PATH, tar:FILE or oci:DIR, not "zip:a"/],
  ['missing tar', ['template', 'build', 'x', '--from', 'tar:/nonexistent.tar'], /\/nonexistent.tar does not exist/],
  ['tar that is a directory', ['template', 'build', 'x', '--from', 'tar:/tmp'], /\/tmp is not a file/],
  ['dir that is a file', ['template', 'build', 'x', '--from', 'dir:/etc/passwd'], /is not a directory/],
  ['packages elsewhere', ['template', 'build', 'x', '--from', 'dir:/tmp', '--package', 'tree'], /only be added to an image made from Debian/],
  ['package name', ['template', 'build', 'x', '--package=-oDir=/'], /"-oDir=\/" is not the name of a Debian package/],
  ['missing wheel', ['template', 'build', 'x', '--wheel', '/nonexistent.whl'], /\/nonexistent.whl does not exist/],
  ['no wheel', ['template', 'build', 'x', '--wheel', '/etc/passwd'], /is not a wheel/],
  ['missing requirements', ['template', 'build', 'x', '--requirements', '/nonexistent'], /\/nonexistent does not exist/],
  ['missing setup', ['template', 'build', 'x', '--setup', '/nonexistent.py'], /\/nonexistent.py does not exist/],
  ['module name', ['template', 'build', 'x', '--preload', 'os; x'], /"os; x" is not the name of a Python module/],
  ['template memory', ['template', 'build', 'x', '--memory', '1'], /--memory needs a number from 64 to 4096/],
  ['template env', ['template', 'build', 'x', '--env', 'A'], /--env needs NAME=VALUE/],
  ['image without command', ['image'], /image needs a command/],
  ['unknown image', ['image', 'rm', '../images'], /There is no image "..\/images"/],
  ['unknown template to inspect', ['template', 'inspect', 'nonesuch'], /Unknown template "nonesuch"/],
  ['unknown benchmark', ['bench', 'nonesuch'], /unknown benchmark "nonesuch"/],
  ['benchmark with no number', ['bench', 'fork', '-n', 'x'], /-n needs a whole number/],
  ['benchmark with a fraction', ['bench', 'fork', '-n', '1.5'], /-n needs a whole number/],
];

for (const [name, args, message] of WRONG) {
  test(`wrong input: ${name}`, async () => isOneLine(await offshoot(args), message, name));
}

test('wrong input: a home that cannot be', async () => {
  const file = join(dir, 'file');
  writeFileSync(file, '');
  isOneLine(await run('pass', { env: { OFFSHOOT_HOME: file } }), /set OFFSHOOT_HOME/, 'a file');
  isOneLine(await run('pass', { env: { OFFSHOOT_HOME: `${file}/below` } }), /set OFFSHOOT_HOME/, 'below a file');
});

test('--json: exactly the documented keys, one line', async () => {
  const result = await run('import sys; print("é"); print("err", file=sys.stderr); sys.exit(3)', {}, '--json');
  const [line, rest] = result.stdout.toString().split('\n');
  assert.deepEqual([rest, result.stderr, result.code], ['', '', 3]);
  const object = JSON.parse(line) as Record<string, unknown>;
  assert.deepEqual(Object.keys(object), [
    'id', 'template', 'stdout', 'stderr', 'exit_code', 'signal', 'timed_out', 'limit', 'limits_met', 'fork_time_ms', 'exec_time_ms', 'total_time_ms',
    'dirty_pages', 'syscalls', 'unimplemented', 'files', 'not_copied',
  ]);
  const values = ['template', 'stdout', 'stderr', 'exit_code', 'signal', 'timed_out', 'limit'].map((name) => object[name]);
  assert.deepEqual(values, ['python', 'é\n', 'err\n', 3, null, false, null]);
  assert.match(String(object['id']), /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
  for (const name of ['fork_time_ms', 'exec_time_ms', 'total_time_ms', 'dirty_pages', 'syscalls']) {
    assert.ok(typeof object[name] === 'number' && object[name] > 0, `${name}: ${object[name]}`);
  }
  assert.equal(typeof object['unimplemented'], 'object');
});

test('--json: bytes, signals and limits', async () => {
  const parse = (result: CliResult): Record<string, unknown> => JSON.parse(result.stdout.toString()) as Record<string, unknown>;
  const bytes = parse(await run('import os; os.write(1, b"a\\xff"); os.write(2, b"ok")', {}, '--json'));
  assert.equal(Buffer.from(String(bytes['stdout_base64']), 'base64').toString('latin1'), 'a\xff');
  assert.equal('stderr_base64' in bytes, false);
  const killed = await run('import os; os.abort()', {}, '--json');
  assert.deepEqual([parse(killed)['signal'], parse(killed)['exit_code'], killed.code], ['SIGABRT', 134, 134]);
  const late = await run('print(1)\nwhile True: pass', {}, '--json', '--timeout', '0.5');
  const { stdout, timed_out: timedOut, limit, exit_code: exitCode } = parse(late);
  assert.deepEqual([stdout, timedOut, limit, exitCode, late.code, late.stderr], ['1\n', true, 'timeout', 124, 124, '']);
  const absent = parse(await run('import ctypes; ctypes.CDLL(None).syscall(999); ctypes.CDLL(None).syscall(29, 0, 0, 0)', {}, '--json'));
  assert.deepEqual(absent['unimplemented'], { 'syscall 999': 1, shmget: 1 });
});

test('template ls, rm, build', async () => {
  const home = join(dir, 'home');
  mkdirSync(home);
  const env = { OFFSHOOT_HOME: home };
  assert.match((await offshoot(['template', 'ls'], { env })).stdout.toString(), /^NAME .*\npython +- +- +python +debian +not built/);
  isOneLine(await offshoot(['template', 'rm', 'python'], { env }), /not built/, 'rm');
  assert.match((await offshoot(['template', 'ls'])).stdout.toString(), /\npython +[\d.]+ MB +\d+ (s|min|h|d) +python +debian +ready, \d+ modules\n/);
  const built = await offshoot(['template', 'build', 'python']);
  assert.deepEqual([built.stdout.toString(), built.code], ['python: built\n', 0]);
  assert.equal((await offshoot(['template', 'rm', 'python'])).code, 0);
  assert.match((await offshoot(['template', 'ls'])).stdout.toString(), /not built/);
  const again = await run('print(2)');
  assert.equal(again.stdout.toString(), '2\n');
  assert.match(again.stderr, /^offshoot: building template "python"\noffshoot: template "python" is ready\n$/);
});

/** A copy of what the command needs, readable by everybody. */
function publicCopy(): { node: string; main: string } {
  const copy = join(dir, 'copy');
  for (const name of ['src', 'package.json', 'node_modules/koffi', 'node_modules/@koromix', 'node_modules/commander']) {
    if (existsSync(resolve(ROOT, name))) cpSync(realpathSync(resolve(ROOT, name)), join(copy, name), { recursive: true, dereference: true });
  }
  cpSync(realpathSync(process.execPath), join(copy, 'node'));
  execFileSync('chmod', ['-R', 'a+rX', copy]);
  chmodSync(dir, 0o755);
  chmodSync(join(copy, 'node'), 0o755);
  return { node: join(copy, 'node'), main: join(copy, 'src/cli/main.ts') };
}

/** Runs the command where /dev holds only /dev/null, in a mount namespace of its own. */
const WITHOUT_KVM = 'mount -t tmpfs none "$0" && : > "$0/null" && mount --bind /dev/null "$0/null" && mount --rbind "$0" /dev && exec "$@"';

test('a missing /dev/kvm is one line with its fix', { skip: canUnshare() ? false : 'needs a mount namespace' }, async () => {
  const dev = join(dir, 'dev');
  mkdirSync(dev);
  const main = resolve(ROOT, 'src/cli/main.ts');
  const result = await command('unshare', ['-m', 'sh', '-c', WITHOUT_KVM, dev, process.execPath, '--no-warnings', main, 'run', '-c', 'pass'], {
    env: { OFFSHOOT_HOME: join(dir, 'nokvm') },
  });
  isOneLine(result, /\/dev\/kvm does not exist: load the module/, 'ENOENT');
});

const NOBODY = 65534;
const isForbidden = ((statSync('/dev/kvm', { throwIfNoEntry: false })?.mode ?? 0) & 0o006) !== 0o006;
const notHere = process.getuid?.() !== 0 ? 'only root can become somebody else' : isForbidden ? false : '/dev/kvm is open to everybody here';

test('a forbidden /dev/kvm is one line with its fix', { skip: notHere }, async () => {
  const { node, main } = publicCopy();
  const home = join(dir, 'nobody');
  mkdirSync(home);
  chownSync(home, NOBODY, NOBODY);
  const result = await command(node, ['--no-warnings', main, 'run', '-c', 'pass'], {
    env: { OFFSHOOT_HOME: home }, spawn: { uid: NOBODY, gid: NOBODY, cwd: home },
  });
  isOneLine(result, /usermod -aG kvm/, 'EACCES');
});
