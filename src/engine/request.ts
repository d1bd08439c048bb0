// Turns a run's request into what the parked guest does next: Python code for the agent, or an execve of another program.

import { EACCES, EAGAIN, ENOENT } from '../abi/linux/errno.ts';
import type { ControlChannel } from '../kernel/fs/control.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { applyLimits } from '../kernel/process/rlimits.ts';
import { checkCwd, execInto } from '../kernel/process/spawn.ts';
import { errnoName } from '../kernel/trace/errnotext.ts';
import { byteString } from './guestkernel.ts';
import { OffshootError } from './errors.ts';
import type { RunOptions } from './protocol.ts';

/** Bytes of code in one control message; src/guest/agent.py has the same number. */
const CHUNK_BYTES = 32768;
const CONTROL_FD = 3;

/** What the agent finds without being told: only differences travel. */
export interface Baseline {
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
}

/**
 * Gives this request to a guest that stands at its snapshot point or, a piece of code only, waits for it behind its fork (pool.ts).
 * Throws OffshootError when its working directory is not there. False: a file that the program is made of has been asked for; call it again when it has come.
 */
export function begin(kernel: Kernel, options: RunOptions, base: Baseline): boolean {
  applyRunLimits(kernel, options.limits);
  const { request } = options;
  const failed = kernel.main && options.cwd !== base.cwd ? checkCwd(kernel.main, byteString(options.cwd)) : 0;
  if (failed < 0) throw new OffshootError('bad-argument', `${options.cwd} is no directory of the sandbox (${errnoName(-failed)}).`);
  if (request.kind === 'exec') return beginExec(kernel, request.argv, options);
  const { code, filename, argv, path0 } = request;
  const cwd = options.cwd === base.cwd ? '' : options.cwd;
  const header = Buffer.from([filename, path0, cwd, String(argv.length), ...argv, ...changes(base.env, options.env)].join('\0'));
  sendStream(kernel.control, header, code, true);
  return true;
}

/** Gives a kernel the limits of a run. */
export function applyRunLimits(kernel: Kernel, limits: RunOptions['limits']): void {
  const { cpuTimeMs, outputBytes, processes, files, diskBytes, inodes, kernelMemoryBytes } = limits;
  applyLimits(kernel, {
    cpuNsMax: cpuTimeMs > 0 ? cpuTimeMs * 1e6 : Infinity, outputBytesMax: outputBytes,
    processesMax: processes, filesMax: files, diskBytesMax: diskBytes, inodesMax: inodes, kernelMemoryMax: kernelMemoryBytes,
  });
}

/**
 * A line with two lengths, a header, bytes: _receive() in guest/agent.py reads it. `isLast`: nothing follows, ever. Throws OffshootError
 * when it is too large.
 */
export function sendStream(control: ControlChannel, header: Uint8Array, bytes: Uint8Array, isLast = false): void {
  const stream = Buffer.concat([Buffer.from(`${header.length} ${bytes.length}\n`), header, bytes]);
  for (let at = 0; at < stream.length; at += CHUNK_BYTES) {
    if (!control.send(stream.subarray(at, at + CHUNK_BYTES), isLast && at + CHUNK_BYTES >= stream.length)) {
      throw new OffshootError('bad-argument', 'The program, its arguments or its environment are too large.');
    }
  }
}

/** NAME=value for what is new or different, NAME alone for what is gone. */
function changes(from: Baseline['env'], to: Baseline['env']): string[] {
  return Object.entries(differences(from, to)).map(([name, value]) => (value === null ? name : `${name}=${value}`));
}

/** What is new or different, and null for what is gone. */
export function differences(from: Baseline['env'], to: Baseline['env']): Record<string, string | null> {
  const gone = Object.keys(from).filter((name) => !Object.hasOwn(to, name)).map((name) => [name, null]);
  return Object.fromEntries([...gone, ...Object.entries(to).filter(([name, value]) => from[name] !== value)]) as Record<string, string | null>;
}

function beginExec(kernel: Kernel, argv: readonly string[], options: RunOptions): boolean {
  const env = Object.entries(options.env).map(([name, value]) => byteString(`${name}=${value}`));
  const main = kernel.main;
  if (!main) return true;
  main.files.close(CONTROL_FD);
  let result = -ENOENT;
  for (const path of candidates(argv[0], options.env['PATH'] ?? '/usr/bin:/bin')) {
    result = execInto(main, byteString(path), argv.map(byteString), env, byteString(options.cwd));
    if (result !== -ENOENT && result !== -EACCES) break;
  }
  if (result >= 0) return true;
  if (result === -EAGAIN) return false;
  kernel.streams.output(2, Buffer.from(`offshoot: ${argv[0]}: ${whyNotRun(result)}\n`));
  kernel.end({ kind: 'exit', code: result === -ENOENT ? 127 : 126 });
  return true;
}

/** What a shell would say of an execve(2) that returned -errno. */
export function whyNotRun(result: number): string {
  return result === -ENOENT ? 'command not found' : result === -EACCES ? 'permission denied' : `cannot be run (errno ${-result})`;
}

/** Where execvp(3) would look. */
export function candidates(command: string, path: string): string[] {
  return command.includes('/') ? [command] : path.split(':').map((dir) => `${dir || '.'}/${command}`);
}

