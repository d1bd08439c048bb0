// `offshoot run --server URL` and `exec --server URL`: the same on a service instead of this machine, by its client. The key is
// $OFFSHOOT_KEY. What the host gives (--in) and standard input are sent before it begins.

import { lstatSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { Content, ExecRequest, ExecResult } from '../api/exec.ts';
import { ApiError, ConnectionError, Offshoot, bytesOf, contentOf } from '../client/index.ts';
import { UsageError, fail, say } from './fail.ts';
import { visibleFiles } from './files.ts';
import { environment } from './flags.ts';
import { limitsOf, positive } from './limits.ts';
import { outputsOf, splitOut, writeOutputs, type Output } from './out.ts';
import type { RunFlags } from './program.ts';

const MB = 2 ** 20;
const FILES_MAX = 64;

/** Runs it, streams or prints its result, and sets the exit code. */
export async function remote(server: string, flags: RunFlags, program: Pick<ExecRequest, 'code' | 'argv' | 'args' | 'filename'>): Promise<void> {
  if (flags.strace) throw new UsageError('--strace does not work with --server.');
  if (!/^https?:\/\//.test(server)) throw new UsageError(`--server needs an http:// or https:// address, not "${server}".`);
  const files = visibleFiles(flags, null, []);
  const outputs = outputsOf(flags.out ?? [], files.cwd);
  (flags.out ?? []).forEach(splitOut);
  const request: ExecRequest = {
    ...program, template: flags.template, cwd: files.cwd, env: environment(flags.env), ...limits(flags),
    ...(process.stdin.isTTY || program.filename === '<stdin>' ? {} : { stdin: contentOf(await buffer(process.stdin)) }),
    files: given(files.mounts), ...(outputs.length > 0 ? { collect: outputs.map(({ pattern }) => pattern) } : {}),
  };
  const stop = new AbortController();
  process.once('SIGINT', () => stop.abort());
  try {
    const client = new Offshoot({ url: server });
    const result = flags.json ? await client.exec(request, { signal: stop.signal }) : await streamed(client, request, stop.signal);
    process.exitCode = result.exit_code;
    report(flags, outputs, result);
  } catch (error) {
    if (stop.signal.aborted) process.exitCode = 130;
    else if (error instanceof ApiError) {
      say(`${error.message} ${error.hint}`, error.code);
      process.exitCode = 2;
    } else fail(error instanceof ConnectionError ? new UsageError(error.message) : error);
  }
}

async function streamed(client: Offshoot, request: ExecRequest, signal: AbortSignal): Promise<ExecResult> {
  for await (const event of client.stream(request, { signal })) {
    if (event.type === 'result') return event.result;
    const stream = process[event.type];
    if (!stream.write(bytesOf(event))) await new Promise((drained) => stream.once('drain', drained));
  }
  throw new ConnectionError('The answer ended before its result.');
}

function limits(flags: RunFlags): Partial<ExecRequest> {
  const { timeoutMs, cpuTimeMs, outputBytes, diskBytes, processes, files, inodes, kernelMemoryBytes } = limitsOf(flags);
  const memory = positive(flags.memory, '--memory');
  const all = {
    timeout_seconds: timeoutMs === undefined ? undefined : timeoutMs / 1000, cpu_seconds: cpuTimeMs === undefined ? undefined : cpuTimeMs / 1000,
    output_mb: outputBytes === undefined ? undefined : outputBytes / MB, disk_mb: diskBytes === undefined ? undefined : diskBytes / MB,
    memory_mb: memory, processes, open_files: files, inodes,
    kernel_memory_mb: kernelMemoryBytes === undefined ? undefined : kernelMemoryBytes / MB,
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** Files of this machine by their path there. Throws UsageError. */
function given(mounts: ReturnType<typeof visibleFiles>['mounts']): Record<string, Content> {
  const all: Record<string, Content> = {};
  const add = (path: string, from: string): void => {
    const stat = lstatSync(from);
    if (stat.isDirectory()) for (const name of readdirSync(from)) add(`${path}/${name}`, join(from, name));
    else if (stat.isFile()) all[path] = contentOf(readFileSync(from));
    if (Object.keys(all).length > FILES_MAX) throw new UsageError(`with --server, --in takes ${FILES_MAX} files at most.`);
  };
  for (const [path, { from }] of Object.entries(mounts)) add(path, from);
  return all;
}

function report(flags: RunFlags, outputs: readonly Output[], result: ExecResult): void {
  const collected = new Map(Object.entries(result.collected ?? {}).map(([path, content]) => [path, Buffer.from(bytesOf(content))]));
  const { files, problems } = writeOutputs(outputs, { collected, notCollected: result.not_collected ?? [] });
  if (flags.json) {
    const { collected: _collected, not_collected: _notCollected, ...rest } = result;
    const copied = files.map(({ path, to, sizeBytes }) => ({ path, to, size_bytes: sizeBytes }));
    process.stdout.write(`${JSON.stringify({ ...rest, files: copied, not_copied: problems.map(({ path, reason }) => ({ path, reason })) })}\n`);
  } else if (result.reason !== null && result.limit !== null) say(result.reason, result.limit);
  for (const { sentence } of problems.slice(0, 2)) say(sentence, 'files-failed');
  if (problems.length > 0 && process.exitCode === 0) process.exitCode = 2;
}
