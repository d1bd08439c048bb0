// What runs in a sandbox that stays: code in its interpreters, programs in the foreground and in the background.

import type { CommandRequest, ContextRequest, ProcessInfo, RunRequest, RunResult, StartRequest } from '../../api/sandbox.ts';
import type { OutputPiece, OutputPosition, Process } from '../../engine/process.ts';
import type { RunInit } from '../../engine/run.ts';
import type { StatefulSandbox } from '../../engine/statefulsandbox.ts';
import type { Caller } from '../callers.ts';
import { ServiceError } from '../errors.ts';
import type { OpenRequest } from '../requests.ts';
import { resultJson } from '../result.ts';
import type { Service } from '../service.ts';
import { noteRun, type ExecInit } from './exec.ts';
import { bytesOf, runInit } from './run.ts';

/** Where: whose sandbox, and which. */
export interface At { readonly service: Service; readonly caller: Caller; readonly id: string }

/** Runs Python in an interpreter of the sandbox. */
export function runCode(at: At, request: RunRequest, init: ExecInit): Promise<RunResult> {
  const { code, context } = request;
  return foreground(at, request, init, async (box, options) => {
    const result = await box.run(code, { ...options, ...(context === undefined ? {} : { context }) });
    noteRun(at.service, at.caller, result);
    return { ...resultJson(result), context: result.context, context_lost: result.contextLost, context_fresh: result.contextFresh };
  });
}

/** Runs a program of the image, and waits for it. */
export function runCommand(at: At, request: CommandRequest, init: ExecInit): Promise<RunResult> {
  return foreground(at, request, init, async (box, options) => {
    const result = await box.exec(request.argv, options);
    noteRun(at.service, at.caller, result);
    return resultJson(result);
  });
}

async function foreground(
  { service, caller, id }: At, request: RunRequest | CommandRequest, { signal, onOutput }: ExecInit,
  run: (box: StatefulSandbox, options: RunInit) => Promise<RunResult>,
): Promise<RunResult> {
  caller.allowance.enter();
  try {
    const { diskBytes: _disk, ...options } = runInit({ ...request, language: 'python' }, service.settings);
    return await service.sandboxes.use(caller.tenant, id, ({ box }) => {
      caller.allowance.startRun();
      return run(box, {
        ...options, signal,
        ...(onOutput ? { paced: true, capture: false, onStdout: (bytes) => onOutput('stdout', bytes), onStderr: (bytes) => onOutput('stderr', bytes) } : {}),
      });
    });
  } finally {
    caller.allowance.leave();
  }
}

/** Starts a program that goes on when nobody looks. */
export function startCommand({ service, caller, id }: At, request: StartRequest): Promise<ProcessInfo> {
  const { argv, env, cwd, stdin, timeout_seconds: timeout } = request;
  return service.sandboxes.use(caller.tenant, id, async ({ box }) => {
    caller.allowance.startRun();
    const process = await box.start(argv, {
      ...(env ? { env } : {}), ...(cwd === undefined ? {} : { cwd }), ...(stdin === undefined ? {} : { stdin: bytesOf(stdin, 'stdin') }),
      ...(timeout === undefined ? {} : { timeoutMs: Math.ceil(timeout * 1000) }),
    });
    process.wait().then((result) => noteRun(service, caller, result), () => { /* its sandbox is gone */ });
    return processInfo(process);
  });
}

export function listProcesses({ service, caller, id }: At): ProcessInfo[] {
  return service.sandboxes.get(caller.tenant, id).box.processes().map(processInfo);
}

function processInfo({ pid, argv, startedAt, exitCode }: Process): ProcessInfo {
  return { pid, argv: [...argv], started_at: startedAt.toISOString(), exit_code: exitCode };
}

/** Throws ServiceError 'not-found'. */
export function findProcess({ service, caller, id }: At, pid: number): Process {
  const process = service.sandboxes.get(caller.tenant, id).box.process(pid);
  if (!process) throw new ServiceError('not-found', 'There is no such background program.');
  return process;
}

/** Its output from a position on, and its end; the sandbox is in use as long as somebody listens. */
export function followProcess(
  at: At, pid: number, from: OutputPosition, signal: OpenRequest, onPiece: (piece: OutputPiece) => Promise<void>,
): Promise<RunResult> {
  const { service, caller, id } = at;
  return service.sandboxes.use(caller.tenant, id, async () => {
    const process = findProcess(at, pid);
    if (signal.reason) throw signal.reason;
    const gone = new Promise<never>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));
    gone.catch(() => { /* nobody may be listening any more */ });
    const pieces = process.output(from)[Symbol.asyncIterator]();
    for (;;) {
      const next = await Promise.race([pieces.next(), gone]);
      if (next.done) break;
      await onPiece(next.value);
    }
    return { ...resultJson(await process.wait()), stdout: '', stderr: '' };
  });
}

export function createContext({ service, caller, id }: At, { env, cwd }: ContextRequest): Promise<string> {
  return service.sandboxes.use(caller.tenant, id, ({ box }) => box.createContext({ ...(env ? { env } : {}), ...(cwd === undefined ? {} : { cwd }) }));
}

export function closeContext({ service, caller, id }: At, context: string): Promise<void> {
  return service.sandboxes.use(caller.tenant, id, async ({ box }) => {
    if (!box.contexts().includes(context)) throw new ServiceError('not-found', 'There is no such context.');
    await box.closeContext(context);
  });
}
