// Runs host programs (apt-get, dpkg-deb): no shell, a fixed environment, output collected, cancellable.
//
// Interface: runCommand, streamCommand.

import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { ImageError, OTHER_SOURCES } from './errors.ts';

/** Longest output kept of a program, in characters; the rest is dropped. */
const OUTPUT_MAX = 16 << 20;

export interface CommandResult {
  /** Exit code; 128 + signal number never occurs here: a killed program has code -1. */
  code: number;
  stdout: string;
  stderr: string;
}

interface CommandOptions {
  signal?: AbortSignal | undefined;
  /** Called for each line the program writes to descriptor 3. */
  onStatus?: ((line: string) => void) | undefined;
}

function start(program: string, args: string[], stdio: StdioOptions): ChildProcess {
  const env = { ...process.env, LC_ALL: 'C', LANGUAGE: '', DEBIAN_FRONTEND: 'noninteractive' };
  const path = isInPath(program) ? SETPRIV.find((file) => existsSync(file)) : undefined;
  return path === undefined ? spawn(program, args, { env, stdio }) : spawn(path, ['--pdeathsig', 'KILL', program, ...args], { env, stdio });
}

/** setpriv(1) of util-linux: the program it becomes is killed when this process ends, however that happens. */
const SETPRIV = ['/usr/bin/setpriv', '/bin/setpriv'];

function isInPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(':').some((dir) => existsSync(join(dir, program)));
}

/** The error of a program that could not be started. */
function startError(program: string, error: NodeJS.ErrnoException): Error {
  if (error.code !== 'ENOENT') return new ImageError(`cannot run ${program}: ${error.message}`);
  if (!['apt-get', 'dpkg-deb'].includes(program)) return new ImageError(`this host does not have ${program}`);
  return new ImageError(`an image of Debian packages needs ${program}, which this host does not have: ${OTHER_SOURCES}`);
}

/**
 * Runs a program to its end.
 * @throws ImageError when it cannot be started, the signal's reason when cancelled
 */
export async function runCommand(program: string, args: string[], options: CommandOptions = {}): Promise<CommandResult> {
  options.signal?.throwIfAborted();
  const child = start(program, args, ['ignore', 'pipe', 'pipe', options.onStatus ? 'pipe' : 'ignore']);
  const stop = () => void child.kill('SIGTERM');
  options.signal?.addEventListener('abort', stop);
  const result: CommandResult = { code: -1, stdout: '', stderr: '' };
  const collect = (name: 'stdout' | 'stderr') => child[name]?.setEncoding('utf8').on('data', (text: string) => {
    if (result[name].length < OUTPUT_MAX) result[name] += text;
  });
  collect('stdout');
  collect('stderr');
  if (options.onStatus) splitLines(child, options.onStatus);
  try {
    await new Promise<void>((resolve, reject) => {
      child.on('error', (error) => reject(startError(program, error)));
      child.on('close', (code) => {
        result.code = code ?? -1;
        resolve();
      });
    });
  } finally {
    options.signal?.removeEventListener('abort', stop);
  }
  options.signal?.throwIfAborted();
  return result;
}

function splitLines(child: ChildProcess, onLine: (line: string) => void): void {
  let rest = '';
  const pipe = child.stdio[3] as NodeJS.ReadableStream | null;
  pipe?.setEncoding('utf8');
  pipe?.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() as string;
    lines.forEach(onLine);
  });
}

/** A program whose output is read as a stream. */
export interface CommandStream {
  readonly output: AsyncIterable<Buffer>;
  /** Resolves when the program has ended well. @throws ImageError when it did not */
  done(): Promise<void>;
  kill(): void;
}

/** Starts a program; its standard output is read from `output`. */
export function streamCommand(program: string, args: string[]): CommandStream {
  const child = start(program, args, ['ignore', 'pipe', 'pipe']);
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    if (stderr.length < OUTPUT_MAX) stderr += text;
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.on('error', (error) => reject(startError(program, error)));
    child.on('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new ImageError(`${program} ${args.at(-1)} failed: ${stderr.trim() || `exit code ${code ?? signal}`}`));
    });
  });
  ended.catch(() => { /* reported by done() */ });
  return { output: child.stdout as AsyncIterable<Buffer>, done: () => ended, kill: () => void child.kill('SIGKILL') };
}
