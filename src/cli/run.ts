// `offshoot run` and `offshoot exec`: fork the template, run one program, stream or print its result.

import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { Engine } from '../engine/engine.ts';
import type { RunInit, RunResult } from '../engine/run.ts';
import type { Sandbox } from '../engine/sandbox.ts';
import { OffshootError } from '../engine/errors.ts';
import { offshootHome } from '../image/home.ts';
import { UsageError, fail, say } from './fail.ts';
import { visibleFiles } from './files.ts';
import { environment } from './flags.ts';
import { Tail, hintFor } from './hint.ts';
import { limitsOf, positive } from './limits.ts';
import { outputsOf, splitOut, writeOutputs, type Written } from './out.ts';
import type { RunFlags } from './program.ts';
import { endProgress, progressPrinter } from './progress.ts';
import type { remote } from './remote.ts';

type Start = (sandbox: Sandbox, init: RunInit) => Promise<RunResult>;

/** offshoot run (-c CODE | FILE.py | -) [ARG...] */
export async function run(file: string | undefined, args: string[], flags: RunFlags): Promise<void> {
  if (flags.code !== undefined) {
    const all = file === undefined ? args : [file, ...args];
    if (flags.server !== undefined) return remotely(flags.server, flags, { code: flags.code, args: all });
    return launch(flags, null, (sandbox, init) => sandbox.run(flags.code as string, { ...init, args: all }));
  }
  if (file === undefined) throw new UsageError('nothing to run: give -c CODE, a FILE.py, or - for standard input.');
  const code = readProgram(file);
  if (flags.server !== undefined) {
    return remotely(flags.server, flags, { code: code.toString('utf8'), args, filename: file === '-' ? '<stdin>' : basename(file) });
  }
  const init: RunInit = file === '-' ? { args, stdin: '', filename: '<stdin>' } : { args, filename: resolve(file) };
  return launch(flags, file === '-' ? null : resolve(file), (sandbox, common) => sandbox.run(code, { ...common, ...init }));
}

/** offshoot exec -- CMD [ARG...] */
export function exec(argv: string[], flags: RunFlags): Promise<void> {
  if (flags.server !== undefined) return remotely(flags.server, flags, { argv });
  return launch(flags, null, (sandbox, init) => sandbox.exec(argv, init));
}

/** offshoot shell: on a terminal, a terminal of its own inside; otherwise bash reads what comes. */
export async function shell(flags: RunFlags): Promise<void> {
  const isTerminal = process.stdin.isTTY && process.stdout.isTTY && flags.server === undefined && !flags.json;
  const onPipes = ['bash', '--norc', '--noprofile', '--noediting', ...(process.stdin.isTTY ? ['-i'] : [])];
  if (!isTerminal) return exec(onPipes, flags);
  const { terminalShell } = await import('./terminal.ts');
  return launch(flags, null, async (sandbox, init) => (await hasPython(flags.template) ? terminalShell(sandbox, init) : sandbox.exec(onPipes, init)));
}

/** Templates with Python have modules loaded. */
async function hasPython(template: string): Promise<boolean> {
  const { templateEntry } = await import('../engine/usage.ts');
  return (templateEntry(offshootHome(), template).header?.about.modules.length ?? 0) > 0;
}

async function remotely(...args: Parameters<typeof remote>): Promise<void> {
  return (await import('./remote.ts')).remote(...args);
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

/** A job in the background (`&`) that reads its terminal is stopped: it gets no input instead, since it may not want any. proc_pid_stat(5). */
function isInBackground(): boolean {
  if (!process.stdin.isTTY) return false;
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const [, , group, , , foreground] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return group !== foreground;
}

async function launch(flags: RunFlags, script: string | null, start: Start): Promise<void> {
  const limits = limitsOf(flags);
  const memory = positive(flags.memory, '--memory');
  if (memory !== undefined && !(memory >= 16 && memory <= 4096)) throw new UsageError('--memory needs a number from 16 to 4096 (MB).');
  const outLimit = positive(flags.outLimit, '--out-limit') ?? 64;
  if (outLimit > 1024) throw new UsageError('--out-limit needs a number up to 1024 (MB).');
  const outs = flags.out ?? [];
  const files = visibleFiles(flags, script, outs.map((text) => splitOut(text).guest));
  const outputs = outputsOf(outs, files.cwd);
  const tail = new Tail();
  const onStderr = (bytes: Uint8Array): void => {
    process.stderr.write(bytes);
    tail.push(bytes);
  };
  const init: RunInit = {
    env: environment(flags.env), ...limits, stdin: isInBackground() ? '' : process.stdin, capture: flags.json ?? false,
    cwd: files.cwd, mounts: files.mounts, collect: outputs.map(({ pattern }) => pattern), collectBytes: outLimit * 2 ** 20,
    ...(flags.json ? {} : { onStdout: (bytes) => process.stdout.write(bytes), onStderr }),
    countPages: flags.json ?? false,
    ...(flags.strace ? { onTrace: (text) => process.stderr.write(text) } : {}),
  };
  const engine = await Engine.open({ workers: 1, ...(flags.quiet ? {} : { onProgress: progressPrinter(process.stderr) }) });
  try {
    const template = await engine.template(flags.template);
    endProgress();
    const sandbox = await template.fork(memory === undefined ? {} : { memoryBytes: Math.round(memory * 2 ** 20) });
    const stop = new AbortController();
    process.once('SIGINT', () => stop.abort());
    const result = await start(sandbox, { ...init, signal: stop.signal });
    process.exitCode = result.limit === 'cancelled' ? 130 : result.exitCode;
    const hint = result.exitCode === 1 && !flags.quiet && !flags.json ? hintFor(tail.lastLine, flags.template, script, files.dir) : null;
    report(flags, result, hint, writeOutputs(outputs, result));
  } catch (error) {
    fail(files.dir === null ? error : withoutDir(error, files.dir));
  }
  // The worker's end is not waited for: giving its memory back takes it longer than all that is left to do here.
  void engine.close();
  for (const stream of [process.stdout, process.stderr]) await new Promise((written) => stream.write('', written));
  process.exit();
}

/** Problems with --out fail a run that went well: what somebody waits for is not there. */
function report(flags: RunFlags, result: RunResult, hint: string | null, written: Written): void {
  if (flags.json) process.stdout.write(`${JSON.stringify(asJson(result, written))}\n`);
  else if (result.reason) say(result.reason, result.limit ?? undefined);
  if (hint !== null) say(hint);
  const { problems } = written;
  for (const { sentence } of problems.slice(0, PROBLEMS_MAX)) say(sentence, 'files-failed');
  if (problems.length > PROBLEMS_MAX) say(`and ${problems.length - PROBLEMS_MAX} more.`, 'files-failed');
  if (problems.length > 0 && process.exitCode === 0) process.exitCode = 2;
}

const PROBLEMS_MAX = 2;

/** A script's directory that cannot be given is no reason to give up: says how to go on. */
function withoutDir(error: unknown, dir: string): unknown {
  if (!(error instanceof OffshootError && error.code === 'files-failed' && error.message.includes(dir))) return error;
  return new OffshootError(error.code, `${error.message} Add --no-dir to run the script without its directory.`);
}

/** The stable object of --json. Output that is not UTF-8 is given once more, exactly, in base64. */
function asJson(result: RunResult, { files, problems }: Written): Record<string, unknown> {
  const exact = (name: string, bytes: Buffer): Record<string, string> =>
    bytes.equals(Buffer.from(bytes.toString('utf8'))) ? {} : { [name]: bytes.toString('base64') };
  return {
    id: result.id, template: result.template, stdout: result.stdout.toString('utf8'), stderr: result.stderr.toString('utf8'),
    ...exact('stdout_base64', result.stdout), ...exact('stderr_base64', result.stderr),
    exit_code: result.exitCode, signal: result.signal, timed_out: result.timedOut, limit: result.limit, limits_met: result.limitsMet,
    fork_time_ms: result.forkTimeMs, exec_time_ms: result.execTimeMs, total_time_ms: result.totalTimeMs,
    dirty_pages: result.dirtyPages, syscalls: result.syscalls, unimplemented: result.unimplemented,
    files: files.map(({ path, to, sizeBytes }) => ({ path, to, size_bytes: sizeBytes })),
    not_copied: problems.map(({ path, reason }) => ({ path, reason })),
  };
}
