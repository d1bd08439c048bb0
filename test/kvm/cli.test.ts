// The command on a working host: programs in, output and exit codes out.

import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import test, { after, before } from 'node:test';
import { MAIN, ROOT, command, offshoot, run } from './clihelp.ts';

const dir = mkdtempSync(join(tmpdir(), 'offshoot-cli-'));
// The first use builds what is missing, and says so on stderr: not in the middle of a test that compares it.
before(async () => void (await run('pass')));
after(() => rmSync(dir, { recursive: true }));

function file(name: string, text: string): string {
  writeFileSync(join(dir, name), text);
  return join(dir, name);
}

test('run -c: output exact, arguments, nothing on stderr', async () => {
  const result = await offshoot(['run', '-c', 'import sys; print(sys.argv)', 'a', '--json', '-x']);
  assert.deepEqual([result.stdout.toString(), result.stderr, result.code], ["['-c', 'a', '--json', '-x']\n", '', 0]);
});

test('run FILE: its path, arguments and traceback', async () => {
  const path = file('prog.py', 'import sys\nprint(__file__, sys.argv[1:], __name__)\nraise ValueError("ä")\n');
  const result = await offshoot(['run', path, '1', '2']);
  assert.equal(result.stdout.toString(), `${path} ['1', '2'] __main__\n`);
  assert.equal(result.stderr, [
    'Traceback (most recent call last):', `  File "${path}", line 3, in <module>`, '    raise ValueError("ä")', 'ValueError: ä', '',
  ].join('\n'));
  assert.equal(result.code, 1);
});

test('a module that is not there: the traceback, then what to type', async () => {
  const path = file('missing.py', 'import missing_module\n');
  const { stderr, code } = await offshoot(['run', path]);
  assert.match(stderr, new RegExp(`^Traceback[^]*File "${path}", line 1, in <module>\\n[^]*\\nModuleNotFoundError: No module named 'missing_module'\\n`
    + 'offshoot: template "python" has no Python module "missing_module": [^\\n]*"offshoot template build NAME --package [^\\n]* -t NAME\\n$'));
  assert.equal(code, 1);
});

test('run -: the program comes from standard input', async () => {
  const result = await offshoot(['run', '-', 'x'], { stdin: 'import sys\nprint(sys.argv, repr(sys.stdin.read()))\n' });
  assert.deepEqual([result.stdout.toString(), result.stderr, result.code], ["['-', 'x'] ''\n", '', 0]);
});

test('standard input reaches the program, binary and to its end', async () => {
  assert.equal((await run('print(input())', { stdin: 'x\n' })).stdout.toString(), 'x\n');
  const bytes = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7) & 255));
  const copy = await run('import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())', { stdin: bytes });
  assert.ok(copy.stdout.equals(bytes));
  // A program that does not read its input ends all the same, though the other side keeps it open.
  const open = await run('print(1)', { stdin: null });
  assert.deepEqual([open.stdout.toString(), open.code], ['1\n', 0]);
});

test('output arrives while the program runs', async () => {
  let answered = false;
  const result = await run('print("first"); print(input())', {
    stdin: null,
    onStdout: (child) => {
      if (!answered) child.stdin?.end('answer\n');
      answered = true;
    },
  });
  assert.equal(result.stdout.toString(), 'first\nanswer\n');
});

test('exit codes: the program\'s, 1 for a traceback, 128+n for a signal', async () => {
  assert.equal((await run('import sys; sys.exit(3)')).code, 3);
  assert.equal((await run('1/0')).code, 1);
  const killed = await run('import os; os.kill(os.getpid(), 9)');
  assert.equal(killed.code, 137);
  assert.match(killed.stderr, /^offshoot: killed by SIGKILL.*\n$/);
  assert.equal((await offshoot(['exec', '--', 'sh', '-c', 'kill -TERM $$'])).code, 143);
});

test('--timeout: 124, and what was printed is kept', async () => {
  const result = await run('print("before")\nwhile True: pass', {}, '--timeout', '0.5');
  assert.deepEqual([result.stdout.toString(), result.stderr, result.code], ['before\n', 'offshoot: timed out after 0.5 s. [timeout]\n', 124]);
});

test('exec: programs of the image, their arguments and input', async () => {
  const result = await offshoot(['exec', '--', 'sh', '-c', 'cat; echo "$1"; exit 7', 'sh', '--json'], { stdin: 'in\n' });
  assert.deepEqual([result.stdout.toString(), result.stderr, result.code], ['in\n--json\n', '', 7]);
  const missing = await offshoot(['exec', '--', 'no-such-command']);
  assert.deepEqual([missing.stderr, missing.code], ['offshoot: no-such-command: command not found\n', 127]);
});

test('--env, --memory', async () => {
  const code = 'import os; print(os.environ["A"], os.environ["B"], os.environ["C"])';
  const result = await run(code, {}, '--env', 'A=1', '--env', 'B=x=y z', '--env', 'C=');
  assert.equal(result.stdout.toString(), '1 x=y z \n');
  const small = await run('x = bytearray(300 << 20)', {}, '--memory', '200');
  assert.match(small.stderr, /MemoryError\n$/);
  assert.equal((await run('x = bytearray(300 << 20)', {}, '--memory', '500')).code, 0);
});

test('two runs differ in what must be random', async () => {
  const code = 'import numpy as np, random, uuid, os; print(np.random.rand(3), random.random(), uuid.uuid4(), os.getpid())';
  const [a, b] = [await run(code), await run(code)];
  assert.match(a.stdout.toString(), /^\[\d/);
  const words = new Set(a.stdout.toString().split(/[\s[\]]+/).filter(Boolean));
  assert.deepEqual(b.stdout.toString().split(/[\s[\]]+/).filter((word) => words.has(word)).filter(Boolean), []);
});

test('--strace: lines as strace prints them, on stderr', async () => {
  const result = await run('import os; print(os.open("/nonexistent", 0))', {}, '--strace');
  const lines = result.stderr.split('\n');
  const calls = lines.filter((line) => /^\w+\(.*\)\s+= (-?\d+|0x[0-9a-f]+|\?)( E[A-Z]+ \(.*\))?$/.test(line));
  assert.ok(calls.length > 5, result.stderr);
  const open = /^openat\(AT_FDCWD, "\/nonexistent", O_RDONLY\|O_CLOEXEC(, \w+)?\) += -1 ENOENT \(No such file or directory\)$/;
  assert.ok(lines.some((line) => open.test(line)), result.stderr);
  assert.equal(lines.at(-2), '+++ exited with 1 +++');
  assert.match(lines.at(-3) ?? '', /^exit_group\(1\) +=\s\?$/);
  const exec = await offshoot(['exec', '--strace', '--', 'sh', '-c', '/bin/true; :']);
  assert.match(exec.stderr, /^\[pid \d+\] execve\("\/bin\/true", .*\) += 0$/m);
});

test('offshoot … | head: ends quietly when its reader is gone', async () => {
  for (const stream of ['stdout', 'stderr'] as const) {
    const close = (child: ChildProcess): void => void child[stream]?.destroy();
    const result = await run(`import sys\nwhile True: print("line", file=sys.${stream})`, { onStdout: close, onStderr: close });
    assert.equal(result.code, 141, stream);
    assert.match(result.stdout.toString() + result.stderr, /^(line\n)+/);
    assert.doesNotMatch(result.stdout.toString() + result.stderr, /offshoot|Error/);
  }
});

test('a job in the background of a terminal is not stopped for reading it', async () => {
  const line = `set -m; "${process.execPath}" --no-warnings "${MAIN}" run -c "import sys; print([sys.stdin.read()])" & wait %1; echo "exit $?"`;
  const result = await command('script', ['-qec', `bash -c '${line}'`, '/dev/null']);
  assert.match(result.stdout.toString(), /\[''\]\r\n[^]*\nexit 0\r\n/);
});

test('output that cannot be written', async () => {
  const line = `"${process.execPath}" --no-warnings "${MAIN}" run -c "print(1)" > /dev/full`;
  const result = await command('sh', ['-c', line]);
  assert.deepEqual([result.stderr, result.code], ['offshoot: the output cannot be written: the disk is full. [files-failed]\n', 2]);
});

test('Ctrl-C ends the run with 130', async () => {
  const result = await run('print("up")\nwhile True: pass', { onStdout: (child) => void child.kill('SIGINT') });
  assert.deepEqual([result.stdout.toString(), result.code], ['up\n', 130]);
  assert.equal(result.stderr, 'offshoot: cancelled. [cancelled]\n');
});

test('--version, --help', async () => {
  const { version } = JSON.parse(readFileSync(resolve(ROOT, 'package.json'), 'utf8')) as { version: string };
  assert.deepEqual(await offshoot(['--version']), { stdout: Buffer.from(`${version}\n`), stderr: '', code: 0 });
  const help = await offshoot(['--help']);
  assert.equal(help.code, 0);
  for (const word of ['run', 'exec', 'template', 'bench']) assert.match(help.stdout.toString(), new RegExp(`^  ${word}`, 'm'));
  const runHelp = await offshoot(['run', '--help']);
  for (const flag of ['--template', '--timeout', '--memory', '--env', '--strace', '--json', '--code']) {
    assert.ok(runHelp.stdout.toString().includes(flag), flag);
  }
});
