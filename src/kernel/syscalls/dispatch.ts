// The one choke point of system calls: number → row → arguments → handler → result, strace and counters on the way.
//
// Interface: `dispatch` starts a call, `redispatch` continues one after its Wait, `finish` ends one. Handlers return a number
// or a Wait (wait.ts).

import { ENOSYS } from '../../abi/linux/errno.ts';
import { REG } from '../../platform.ts';
import type { Task } from '../process/task.ts';
import type { CallRing } from '../trace/ring.ts';
import { NO_RESULT, SNAPSHOT } from '../wait.ts';
import type { Wait } from '../wait.ts';
import { argCode, readArg, setResult } from './args.ts';
import type { ArgCode } from './args.ts';
import { noteCall } from './facts.ts';
import type { SyscallRow } from './row.ts';
import { ROWS } from './table.ts';

interface Entry { readonly row: SyscallRow; readonly codes: readonly ArgCode[] }

const TABLE: (Entry | undefined)[] = [];
for (const row of ROWS) TABLE[row.nr] = { row, codes: row.args.map(argCode) };

export function rowOf(nr: number): SyscallRow | undefined {
  return TABLE[nr]?.row;
}

/** Starts the call in the task's registers. Returns SNAPSHOT when the run loop must stop, else 0. */
export function dispatch(task: Task): number {
  const nr = task.context.regs32[REG.rax * 2];
  task.syscallNr = nr;
  task.kernel.syscallCount++;
  const entry = TABLE[nr];
  if (!entry || !entry.row.handler) {
    task.kernel.count(entry ? entry.row.name : `syscall ${nr}`);
    finish(task, -ENOSYS);
    return 0;
  }
  const outcome = settle(task, call(task, entry));
  if (task.syscallNr < 0) noteCall(task, nr);
  return outcome;
}

/** Dispatches the call of a task again: `task.rerun` is the Wait it returned before. */
export function redispatch(task: Task): number {
  const entry = TABLE[task.syscallNr] as Entry;
  const result = call(task, entry);
  task.rerun = null;
  task.timedOut = false;
  task.interrupted = false;
  return settle(task, result);
}

function settle(task: Task, result: number | Wait): number {
  if (typeof result === 'object') {
    task.kernel.tracer?.blocked(task);
    task.kernel.block(task, result);
    return 0;
  }
  if (result === SNAPSHOT) return SNAPSHOT;
  finish(task, result);
  return 0;
}

/** execve, execveat, exit, exit_group: traced before they happen, because their arguments are gone afterwards. */
const TRACED_EARLY: ReadonlySet<number> = new Set([59, 322, 60, 231]);

function call(task: Task, entry: Entry): number | Wait {
  const { context } = task;
  const { codes, row } = entry;
  if (task.kernel.tracer && TRACED_EARLY.has(row.nr)) task.kernel.tracer.enter(task);
  const handler = row.handler as NonNullable<SyscallRow['handler']>;
  switch (codes.length) {
    case 0: return handler(task);
    case 1: return handler(task, readArg(context, 0, codes[0]));
    case 2: return handler(task, readArg(context, 0, codes[0]), readArg(context, 1, codes[1]));
    case 3: return handler(task, readArg(context, 0, codes[0]), readArg(context, 1, codes[1]), readArg(context, 2, codes[2]));
    case 4: return handler(task, readArg(context, 0, codes[0]), readArg(context, 1, codes[1]), readArg(context, 2, codes[2]), readArg(context, 3, codes[3]));
    case 5: return handler(task, readArg(context, 0, codes[0]), readArg(context, 1, codes[1]), readArg(context, 2, codes[2]), readArg(context, 3, codes[3]),
      readArg(context, 4, codes[4]));
    default: return handler(task, readArg(context, 0, codes[0]), readArg(context, 1, codes[1]), readArg(context, 2, codes[2]), readArg(context, 3, codes[3]),
      readArg(context, 4, codes[4]), readArg(context, 5, codes[5]));
  }
}

/** Ends the call under way with `result`: a value, -errno, -ERESTART*, or NO_RESULT. */
export function finish(task: Task, result: number): void {
  const { kernel } = task;
  kernel.ring.record(task.tid, task.syscallNr, task.context.regs, result);
  kernel.tracer?.call(task, result);
  if (result === NO_RESULT) {
    task.syscallNr = -1;
    return;
  }
  if (result <= -512 && result >= -516) {
    // The registers stay as the call found them: the next return to ring 3 restarts it or turns it into -EINTR.
    task.restart = -result;
    task.work = true;
    return;
  }
  setResult(task.context, result);
  task.syscallNr = -1;
}

/** The last calls of a kernel as text, oldest first. */
export function lastCalls(ring: CallRing): string[] {
  return ring.lines((nr) => {
    const row = rowOf(nr);
    return row && { name: row.name, args: row.args.length };
  });
}
