// Everything that can be wrong with --in, --out and --workdir: one line on stderr, exit code 2.

import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { MAIN, command, offshoot, run } from './clihelp.ts';

const dir = mkdtempSync(join(tmpdir(), 'offshoot-wrong-'));
after(() => rmSync(dir, { recursive: true }));
before(async () => void (await run('pass')));

const WRONG: readonly (readonly [string, readonly string[], RegExp])[] = [
  ['--in: nothing there', ['run', '--in', 'nonesuch', '-c', 'pass'], /--in nonesuch: nonesuch: no such file/],
  ['--in: over the sandbox\'s own', ['run', '--in', '.:/usr', '-c', 'pass'], /\/usr is the sandbox's own/],
  ['--in: below a file', ['run', '--in', '.:/etc/passwd/x', '-c', 'pass'], /\/etc\/passwd\/x cannot be in the sandbox/],
  ['--in: a device', ['run', '--in', '/dev/null:x', '-c', 'pass'], /neither a file nor a directory/],
  ['--out: no path', ['run', '--out', 'x', '-c', 'pass'], /--out needs GUEST:PATH, not "x"/],
  ['--out: everything', ['run', '--out', '/:x', '-c', 'pass'], /not all of the sandbox/],
  ['--out: nothing left', ['run', '--out', 'x:y', '-c', 'pass'], /the run left no \/home\/user\/x/],
  ['--out: too large', ['run', '--out', 'x:y', '--out-limit', '1', '-c', 'open("x","w").write("x"*2000000)'], /does not fit the limit/],
  ['--out: place cannot be', ['run', '--out', 'x:/proc/x/y', '-c', 'open("x","w")'], /cannot be written/],
  ['--workdir: not there', ['run', '--workdir', '/nonesuch', '-c', 'pass'], /\/nonesuch is no directory of the sandbox \(ENOENT\)/],
  ['--workdir: not there, of a program', ['exec', '--workdir', 'nonesuch', '--', 'true'], /\/home\/user\/nonesuch is no directory/],
  ['--workdir: a file', ['run', '--workdir', '/etc/passwd', '-c', 'pass'], /\/etc\/passwd is no directory of the sandbox \(ENOTDIR\)/],
  ['--out-limit: no number', ['run', '--out-limit', 'much', '-c', 'pass'], /--out-limit needs a number/],
];
for (const [name, args, message] of WRONG) {
  test(`wrong input: ${name}`, async () => {
    const result = await offshoot(args, { spawn: { cwd: dir } });
    assert.match(result.stderr, new RegExp(`^offshoot: [^\\n]*${message.source}[^\\n]* \\[(bad-argument|files-failed)\\]\\n$`));
    assert.deepEqual([result.stdout.toString(), result.code], ['', 2]);
  });
}


/** Root without its capabilities: a user who owns /dev/kvm, but must obey permissions. */
const WITHOUT_CAPABILITIES = ['--bounding-set', '-all', '--inh-caps', '-all', '--reuid', '0'];
const skip = process.getuid?.() === 0 ? false : 'only root can give up capabilities';

test('wrong input: no permission', { skip }, async () => {
  const path = (name: string): string => join(dir, name);
  for (const name of ['closed', 'locked']) mkdirSync(path(name));
  writeFileSync(path('closed.py'), 'print(1)\n');
  writeFileSync(path('locked/x.py'), 'print(1)\n');
  for (const [name, mode] of [['closed', 0], ['closed.py', 0], ['locked', 0o300]] as const) chmodSync(path(name), mode);
  for (const [args, message] of [
    [['run', path('closed.py')], /cannot read [^\n]*closed.py: permission denied\. \[bad-argument\]/],
    [['run', '--in', path('closed'), '-c', '1'], /closed cannot be given to the sandbox: permission denied\. \[files-failed\]/],
    [['run', path('locked/x.py')], /locked cannot be given to the sandbox: permission denied\. Add --no-dir [^\n]* \[files-failed\]/],
    [['run', '--out', `x:${path('closed')}/x`, '-c', 'open("x", "w")'], /closed[^\n]* cannot be written \(EACCES\)\. \[files-failed\]/],
  ] as const) {
    const result = await command('setpriv', [...WITHOUT_CAPABILITIES, process.execPath, '--no-warnings', MAIN, ...args]);
    assert.match(result.stderr, new RegExp(`^offshoot: [^\\n]*${message.source}\\n$`));
    assert.deepEqual([result.stdout.toString(), result.code], ['', 2]);
  }
});
