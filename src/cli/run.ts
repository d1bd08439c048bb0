// `offshoot run` and `offshoot exec`: fork the template, run one program, stream or print its result.

import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { Engine } from '../engine/engine.ts';
import type { RunInit, RunResult } from '../engine/run.ts';
import type { Sandbox } from '../engine/sandbox.ts';
import { UsageError, fail } from './fail.ts';
import { environment } from './flags.ts';
import { Tail, importHint } from './hint.ts';
import { limitsOf, positive } from './limits.ts';
import type { RunFlags } from './program.ts';
import { progressPrinter } from './progress.ts';

type Start = (sandbox: Sandbox, init: RunInit) => Promise<RunResult>;

/** offshoot run (-c CODE | FILE.py | -) [ARG...] */
export async function run(file: string | undefined, args: string[], flags: RunFlags): Promise<void> {
  if (flags.code !== undefined) {
    const all = file === undefined ? args : [file, ...args];
    return launch(flags, (sandbox, init) => sandbox.run(flags.code as string, { ...init, args: all }));
  }
  if (file === undefined) throw new UsageError('nothing to run: give -c CODE, a FILE.py, or - for standard input.');
  const code = readProgram(file);
  const init: RunInit = file === '-' ? { args, stdin: '', filename: '<stdin>' } : { args, filename: resolve(file) };
  return launch(flags, (sandbox, common) => sandbox.run(code, { ...common, ...init }));
}

/** offshoot exec -- CMD [ARG...] */
export function exec(argv: string[], flags: RunFlags): Promise<void> {
  return launch(flags, (sandbox, init) => sandbox.exec(argv, init));
}

function readProgram(file: string): Buffer {
  try {
    if (file === '-') return readFileSync(0);
    accessSync(file, constants.R_OK);
    if (statSync(file).isDirectory()) throw new UsageError(`cannot read ${file}: it is a directory.`);
    return readFileSync(file);
  } catch (error) {
    if (error instanceof UsageError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    const why = code === 'ENOENT' ? 'no such file' : code === 'EACCES' ? 'permission denied' : String(code);
    throw new UsageError(`cannot read ${file}: ${why}.`);
  }
}

async function launch(flags: RunFlags, start: Start): Promise<void> {
  const limits = limitsOf(flags);
  const memory = positive(flags.memory, '--memory');
  if (memory !== undefined && !(memory >= 16 && memory <= 4096)) throw new UsageError('--memory needs a number from 16 to 4096 (MB).');
  const tail = new Tail();
  const init: RunInit = {
    env: environment(flags.env),
    ...limits,
    stdin: process.stdin,
    capture: flags.json ?? false,
    ...(flags.json ? {} : { onStdout: (bytes) => process.stdout.write(bytes), onStderr: (bytes) => {
      tail.push(bytes);
      process.stderr.write(bytes);
    } }),
    countPages: flags.json ?? false,
    ...(flags.strace ? { onTrace: (text) => process.stderr.write(text) } : {}),
  };
  const engine = await Engine.open({ workers: 1, onProgress: progressPrinter(process.stderr) });
  try {
    const template = await engine.template(flags.template);
    const sandbox = await template.fork(memory === undefined ? {} : { memoryBytes: Math.round(memory * 2 ** 20) });
    const stop = new AbortController();
    process.once('SIGINT', () => stop.abort());
    const result = await start(sandbox, { ...init, signal: stop.signal });
    if (flags.json) process.stdout.write(`${JSON.stringify(asJson(result))}\n`);
    else if (result.reason) process.stderr.write(`offshoot: ${result.reason}\n`);
    const hint = result.exitCode === 1 ? importHint(tail.lastLine, flags.template) : null;
    if (hint) process.stderr.write(`offshoot: ${hint}\n`);
    process.exitCode = result.limit === 'cancelled' ? 130 : result.exitCode;
  } catch (error) {
    fail(error);
  }
  // The worker's end is not waited for: giving its memory back takes it longer than all that is left to do here.
  void engine.close();
  for (const stream of [process.stdout, process.stderr]) await new Promise((written) => stream.write('', written));
  process.exit();
}

/** The stable object of --json. Output that is not UTF-8 is given once more, exactly, in base64. */
function asJson(result: RunResult): Record<string, unknown> {
  const exact = (name: string, bytes: Buffer): Record<string, string> =>
    bytes.equals(Buffer.from(bytes.toString('utf8'))) ? {} : { [name]: bytes.toString('base64') };
  return {
    id: result.id, template: result.template, stdout: result.stdout.toString('utf8'), stderr: result.stderr.toString('utf8'),
    ...exact('stdout_base64', result.stdout), ...exact('stderr_base64', result.stderr),
    exit_code: result.exitCode, signal: result.signal, timed_out: result.timedOut, limit: result.limit,
    fork_time_ms: result.forkTimeMs, exec_time_ms: result.execTimeMs, total_time_ms: result.totalTimeMs,
    dirty_pages: result.dirtyPages, syscalls: result.syscalls, unimplemented: result.unimplemented,
  };
}
