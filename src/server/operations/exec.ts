// One run in a sandbox of its own, and many of them: what POST /v1/exec, /v1/exec/batch and other protocols are mappings of.

import { isUtf8 } from 'node:buffer';
import type { BatchRequest, Content, ExecRequest, ExecResult } from '../../api/exec.ts';
import type { ErrorBody } from '../../api/error.ts';
import type { OneShotInit } from '../../engine/engine.ts';
import type { CancelSignal, RunResult } from '../../engine/run.ts';
import type { Caller } from '../callers.ts';
import { ServiceError, told } from '../errors.ts';
import { resultJson } from '../result.ts';
import type { Service } from '../service.ts';
import { bytesOf, memoryOf, programOf, runInit, templateOf } from './run.ts';

export interface ExecInit {
  /** The client is gone, or what runs must end now. */
  readonly signal: CancelSignal;
  /** Output as it comes; the program waits for the promise. Absent: it is in the result. */
  readonly onOutput?: (stream: 'stdout' | 'stderr', bytes: Uint8Array) => Promise<void>;
}

const BATCH_AT_ONCE = 8;

/** Runs it. Rejects with ServiceError or OffshootError when it could not be run, never for what the program does. */
export async function exec(service: Service, caller: Caller, request: ExecRequest, init: ExecInit): Promise<ExecResult> {
  caller.allowance.enter();
  try {
    return await execOne(service, caller, request, init);
  } finally {
    caller.allowance.leave();
  }
}

async function execOne(service: Service, caller: Caller, request: ExecRequest, { signal, onOutput }: ExecInit): Promise<ExecResult> {
  const { engine, settings } = service;
  const program = programOf(request);
  const { files, collect, reuse = false } = request;
  const init: OneShotInit = {
    ...runInit(request, settings), ...memoryOf(request, settings), tenant: caller.tenant, reuse, signal, mounts: files && mountsOf(files),
    collect, collectBytes: collect && settings.output_mb_max * 2 ** 20,
    ...(onOutput ? { paced: true, capture: false, onStdout: (bytes) => onOutput('stdout', bytes), onStderr: (bytes) => onOutput('stderr', bytes) } : {}),
  };
  const template = templateOf(request);
  caller.allowance.startRun();
  const result = await (program.kind === 'code' ? engine.run(template, program.code, init) : engine.exec(template, program.argv, init));
  noteRun(service, caller, result);
  const json = resultJson(result);
  return collect ? { ...json, ...collected(result) } : json;
}

function mountsOf(files: Readonly<Record<string, Content>>): Record<string, Buffer> {
  return Object.fromEntries(Object.entries(files).map(([path, content]) => [path, bytesOf(content, `files "${path}"`)]));
}

/** Counts a run that has ended. */
export function noteRun({ metrics, afterwards }: Service, caller: Caller, result: RunResult): void {
  caller.allowance.endRun(result.cpuTimeMs);
  afterwards.add(() => metrics.noteRun(result));
}

function collected({ collected: files, notCollected }: RunResult): Pick<ExecResult, 'collected' | 'not_collected'> {
  const contentOf = (bytes: Buffer): Content => (isUtf8(bytes) ? bytes.toString('utf8') : { base64: bytes.toString('base64') });
  return { collected: Object.fromEntries([...files].map(([path, bytes]) => [path, contentOf(bytes)])), not_collected: [...notCollected] };
}

/** Runs all of them, so many at a time; `onResult` hears of each when it has ended. What could not be run is an error in its place. */
export async function execBatch(
  service: Service, caller: Caller, request: BatchRequest, signal: CancelSignal, onResult?: (index: number, result: ExecResult | ErrorBody) => Promise<void>,
): Promise<(ExecResult | ErrorBody)[]> {
  const { executions, concurrency = BATCH_AT_ONCE } = request;
  const { batch_max: most } = service.settings;
  if (executions.length > most) throw new ServiceError('too-large', `A batch may have ${most} executions, not ${executions.length}.`);
  caller.allowance.count(executions.length - 1);
  const room = caller.allowance.enter(Math.min(concurrency, executions.length));
  const results: (ExecResult | ErrorBody)[] = [];
  let next = 0;
  const line = async (): Promise<void> => {
    for (let index = next++; index < executions.length; index = next++) {
      results[index] = await execOne(service, caller, executions[index], { signal }).catch((error: unknown) => errorOf(service, error));
      if (onResult) await onResult(index, results[index]);
    }
  };
  try {
    await Promise.all(Array.from({ length: room }, line));
    return results;
  } finally {
    caller.allowance.leave(room);
  }
}

/** An error as its client is told, counted and, where it is ours, logged. */
export function errorOf({ metrics, log }: Service, error: unknown): ErrorBody {
  const { body, isOurs } = told(error);
  metrics.noteError(body.code);
  if (isOurs) log.error({ err: error, code: body.code }, 'a request could not be served');
  return body;
}
