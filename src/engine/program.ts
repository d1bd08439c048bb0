// One run of a stateful sandbox as the caller sees it: its options, checked; sent to the worker; its input fed, its output gathered,
// its end awaited.

import { OffshootError } from './errors.ts';
import type { ProgramOptions, RunEnd } from './protocol.ts';
import { Gathered, checkedSize, feed, monotonicMs, number, resultOf, type RunInit, type RunResult, type SandboxPlace } from './run.ts';
import { cappedTimeout } from './tenantlimits.ts';

/** Options that belong to the sandbox as a whole, or to sandboxes of one run. */
const NOT_HERE: Readonly<Record<string, string>> = {
  cpuTimeMs: 'give it to fork()', memoryBytes: 'give it to fork()', processes: 'give it to fork()', files: 'give it to fork()',
  diskBytes: 'give it to fork()', inodes: 'give it to fork()', kernelMemoryBytes: 'give it to fork()',
  mounts: 'write files with files.write()', collect: 'read files with files.read()', collectBytes: 'read files with files.read()',
  onTrace: 'run it in a sandbox of its own', countPages: 'run it in a sandbox of its own',
};
const NO_CODE: Uint8Array = new Uint8Array();

/** Checks a run. `env`: all its variables. Throws OffshootError 'bad-argument'. */
export function programOptions(
  place: SandboxPlace, request: ProgramOptions['request'], env: Readonly<Record<string, string>>, init: RunInit, code: Uint8Array = NO_CODE,
): ProgramOptions {
  for (const [name, instead] of Object.entries(NOT_HERE)) {
    if ((init as Readonly<Record<string, unknown>>)[name] === undefined) continue;
    throw new OffshootError('bad-argument', `${name} cannot be set for one run of a stateful sandbox: ${instead}.`);
  }
  const texts = [...request.argv ?? [], ...Object.entries(env).flat(), init.cwd ?? ''];
  checkedSize(texts, code);
  if (texts.some((text) => text.includes('\0'))) throw new OffshootError('bad-argument', 'Arguments, environment and directory may not contain NUL.');
  return {
    request, env, cwd: init.cwd ?? null, ...cappedTimeout({ timeoutMs: number(init, 'timeoutMs', 0) }, place), outputBytes: number(init, 'outputBytes', 0),
    hasStdin: init.stdin !== undefined, ...(init.paced ? { paced: true } : {}),
  };
}

/** Sends it and waits for its end. `job`: its number. */
export async function performProgram(place: SandboxPlace, job: number, options: ProgramOptions, init: RunInit, code = NO_CODE): Promise<RunResult> {
  const { worker, number: sandbox } = place;
  const askedMs = monotonicMs();
  const passed = (): void => worker.post({ type: 'stop', sandbox, number: job, why: 'output' });
  const output = new Gathered({ ...place, number: job }, { init, limits: options, collect: null }, passed);
  const cancel = (): void => worker.post({ type: 'stop', sandbox, number: job });
  init.signal?.addEventListener('abort', cancel, { once: true });
  try {
    const ending = worker.call({ type: 'program', sandbox, number: job, options }, code);
    if (init.stdin !== undefined) feedProgram(place, job, init.stdin);
    if (init.signal?.aborted) cancel();
    return resultOf(place, await ending as RunEnd, askedMs, output);
  } finally {
    init.signal?.removeEventListener('abort', cancel);
    worker.detach(job);
    output.release();
  }
}

/** Sends all of its standard input, as it is read. */
export function feedProgram({ worker, number: sandbox }: SandboxPlace, job: number, stdin: RunInit['stdin']): void {
  feed(stdin, (bytes, last) => worker.call({ type: 'input', sandbox, number: job, last }, bytes)).catch(() => { /* it is over */ });
}
