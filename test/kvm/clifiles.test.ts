// What a new user does first: a script that reads data.csv, imports helper.py and writes plot.png, run by the command in a fresh
// directory; files in and out; and everything that can be wrong with them.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, realpathSync, rmSync, symlinkSync, truncateSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import test, { after, before } from 'node:test';
import { MAIN, command, offshoot, type CliInit, type CliResult } from './clihelp.ts';

const top = realpathSync(mkdtempSync(join(tmpdir(), 'offshoot-files-')));
before(async () => void (await offshoot(['run', '-c', 'pass'])));
after(() => rmSync(top, { recursive: true }));
let count = 0;

/** A fresh directory with these files. */
function project(files: Readonly<Record<string, string>>): string {
  const dir = join(top, `p${count++}`);
  mkdirSync(dir);
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(resolve(dir, name, '..'), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
  return dir;
}

const inDir = (cwd: string, args: readonly string[], init: CliInit = {}): Promise<CliResult> => offshoot(args, { ...init, spawn: { cwd } });

function said(result: CliResult, stdout: string, stderr: string | RegExp, code: number): void {
  assert.deepEqual([result.stdout.toString(), result.code], [stdout, code], result.stderr);
  if (typeof stderr === 'string') assert.equal(result.stderr, stderr);
  else assert.match(result.stderr, stderr);
}

const PLOT = {
  'script.py': 'import sys, helper\nprint(sys.argv[1:], helper.total(open("data.csv")))\nopen("plot.png", "wb").write(b"\\x89PNG")\n',
  'helper.py': 'def total(lines):\n    return sum(int(line) for line in lines)\n',
  'data.csv': '1\n2\n3\n',
};

test('a script reads data.csv, imports helper.py and writes plot.png', async () => {
  const dir = project(PLOT);
  said(await inDir(dir, ['run', '--out', 'plot.png:.', 'script.py', '--flag', 'b c']), "['--flag', 'b c'] 6\n", '', 0);
  assert.equal(readFileSync(join(dir, 'plot.png'), 'latin1'), '\x89PNG');
  assert.deepEqual(readdirSync(dir).sort(), ['data.csv', 'helper.py', 'plot.png', 'script.py']);
  said(await inDir(top, ['run', '--out', 'plot.png:other.png', `${dir}/script.py`]), '[] 6\n', '', 0);
  assert.equal(readFileSync(join(top, 'other.png'), 'latin1'), '\x89PNG');
});

test('without --out the directory is read-only; the traceback is the program\'s, the hint is ours', async () => {
  const dir = project(PLOT);
  const result = await inDir(dir, ['run', 'script.py']);
  const shown = new RegExp(`^Traceback[^]*File "${dir}/script.py", line 3[^]*OSError: \\[Errno 30\\][^]*\\noffshoot: ${dir} is read-only[^\\n]*--out`);
  said(result, '[] 6\n', shown, 1);
  said(await inDir(dir, ['run', '--quiet', 'script.py']), '[] 6\n', /Read-only file system: 'plot.png'\n$/, 1);
  said(await inDir(dir, ['run', '--no-dir', 'script.py']), '', /No module named 'helper'\noffshoot: [^\n]+\n$/, 1);
  assert.deepEqual(readdirSync(dir).sort(), ['data.csv', 'helper.py', 'script.py']);
});

test('a read-only directory answers as one on Linux', async () => {
  const dir = project({ file: 'text', 'dir/x': '', 'readonly.py': readFileSync(resolve(import.meta.dirname, 'files/readonly.py'), 'utf8') });
  symlinkSync('file', join(dir, 'link'));
  execFileSync('chmod', ['777', dir, join(dir, 'dir')]);
  const sandbox = await inDir(dir, ['run', 'readonly.py', '.']);
  const mount = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec python3 "$0/readonly.py" "$0"';
  const native = execFileSync('unshare', ['-m', 'sh', '-c', mount, dir], { encoding: 'utf8' });
  assert.equal(sandbox.stdout.toString(), native, sandbox.stderr);
});

test('--in: files and directories, changed only in the sandbox; --out: files, directories and patterns, also of a run that failed', async () => {
  const dir = project({ 'a.txt': 'a', 'tree/b.txt': 'b', 'tree/deep/c.txt': 'c' });
  const code = `
import os, sys
print(open("a.txt").read(), open("/data/deep/c.txt").read(), open("/home/user/x/y").read())
open("a.txt", "a").write("+"); open("/data/new.txt", "w").write("new"); os.remove("/data/b.txt")
os.makedirs("out/sub"); open("out/sub/f", "w").write("f"); open("out/1.log", "w").write("1"); open("out/2.log", "w").write("2")
sys.exit(3)`;
  const result = await inDir(dir, [
    'run', '--in', 'a.txt', '--in', 'tree:/data', '--in', 'a.txt:x/y', '--out', 'a.txt:result.txt', '--out', 'out:copy', '--out', 'out/*.log:logs',
    '--out', '/data:data', '-c', code,
  ]);
  said(result, 'a c a\n', '', 3);
  const text = (name: string): string => readFileSync(join(dir, name), 'utf8');
  assert.deepEqual(['a.txt', 'result.txt', 'copy/sub/f', 'copy/1.log', 'logs/2.log', 'data/new.txt'].map(text), ['a', 'a+', 'f', '1', '2', 'new']);
  assert.deepEqual([readdirSync(join(dir, 'tree')), readdirSync(join(dir, 'data')), readdirSync(join(dir, 'logs'))], [
    ['b.txt', 'deep'], ['new.txt'], ['1.log', '2.log'],
  ]);
});

test('a script that is no file is read; it has no directory', async () => {
  const result = await command('bash', ['-c', `"${process.execPath}" --no-warnings "${MAIN}" run <(echo "import os; print(os.getcwd())")`]);
  said(result, '/home/user\n', '', 0);
});

test('--json: what was copied out and what was not', async () => {
  const dir = project({});
  const code = 'import os; os.makedirs("o/d"); open("o/a", "w").write("abc"); open("o/d/b", "w"); os.symlink("a", "o/l")';
  const result = await inDir(dir, ['run', '--json', '--out', 'o:copy', '--out', 'none:x', '--out', 'o/a:file', '-c', code]);
  const { files, not_copied: not } = JSON.parse(result.stdout.toString()) as { files: { to: string }[]; not_copied: unknown };
  assert.deepEqual(files.sort((a, b) => (a.to < b.to ? -1 : 1)), [
    { path: '/home/user/o/a', to: 'copy/a', size_bytes: 3 }, { path: '/home/user/o/d/b', to: 'copy/d/b', size_bytes: 0 },
    { path: '/home/user/o/a', to: 'file', size_bytes: 3 },
  ]);
  assert.deepEqual(not, [
    { path: '/home/user/o/l', reason: 'is a symbolic link' }, { path: '/home/user/none', reason: 'is not there, or is unchanged' },
  ]);
  assert.deepEqual([result.code, result.stderr.split('\n').length], [2, 3], result.stderr);
});

test('exec: --in, --out and --workdir; a program of the host\'s directory', async () => {
  const dir = project({ 'tool/run.sh': '#!/bin/sh\necho $0 $PWD $(cat input) > "$1"\n', 'tool/input': 'in' });
  execFileSync('chmod', ['755', join(dir, 'tool/run.sh')]);
  said(await inDir(dir, ['exec', '--in', 'tool:/tool', '--workdir', '/tool', '--out', '/tmp/o:o', '--', './run.sh', '/tmp/o']), '', '', 0);
  assert.equal(readFileSync(join(dir, 'o'), 'utf8'), './run.sh /tool in\n');
});

test('--out: what the sandbox makes cannot lead elsewhere on the host', async () => {
  const dir = project({ 'secret/keep': 'keep' });
  mkdirSync(join(dir, 'copy'));
  symlinkSync('../secret', join(dir, 'copy/sub'));
  symlinkSync('secret/keep', join(dir, 'link'));
  const make = 'import os; os.makedirs("o/sub"); open("o/sub/keep", "w").write("bad")';
  // A link below PATH is refused, one in the place of the file is replaced.
  said(await inDir(dir, ['run', '--out', 'o/*:copy', '-c', make]), '', /^offshoot: [^\n]*copy\/sub is a symbolic link\. \[files-failed\]\n$/, 2);
  said(await inDir(dir, ['run', '--out', 'o/sub/keep:link', '-c', make]), '', '', 0);
  assert.deepEqual([readFileSync(join(dir, 'secret/keep'), 'utf8'), lstatSync(join(dir, 'link')).isFile()], ['keep', true]);
  const odd = 'import os; os.mkdir("o"); os.symlink("/etc/passwd", "o/l"); open("o/a\\nb", "w").write("x"); os.mkfifo("o/f")';
  said(await inDir(dir, ['run', '--out', 'o:odd', '-c', odd]), '', /^(offshoot: [^\n]+\n){2}offshoot: and 1 more\. \[files-failed\]\n$/, 2);
  assert.ok(!existsSync(join(dir, 'odd')));
});

test('a directory is not read as a whole: files are read when they are opened, and as they were', async () => {
  const dir = project({ 'script.py': 'try: open("big")\nexcept OSError as e: print(e)\nprint(open("small").read())\n', small: 'small', big: '' });
  truncateSync(join(dir, 'big'), 2 ** 40);
  said(await inDir(dir, ['run', 'script.py']), "[Errno 12] Cannot allocate memory: 'big'\nsmall\n", '', 0);
  const late = project({ 'script.py': 'print("ready", flush=True)\ninput()\ntry: open("f")\nexcept OSError as e: print(e.strerror)\n', f: '1' });
  const result = await inDir(late, ['run', 'script.py'], {
    stdin: null,
    onStdout: (child) => {
      writeFileSync(join(late, 'f'), 'another');
      child.stdin?.end('\n');
    },
  });
  said(result, 'ready\nStale file handle\n', '', 0);
});
