// What happens on the way back to ring 3 when `task.work` is set: interrupted calls are restarted or ended, pending
// signals get their default action or a handler's frame, a saved mask comes back. signal(7), "Interruption of system calls".

import { EINTR, ERESTARTNOHAND, ERESTARTSYS, ERESTART_RESTARTBLOCK } from '../../abi/linux/errno.ts';
import {
  SA_NODEFER, SA_RESETHAND, SA_RESTART, SIGSEGV, SIGSTOP, SIG_IGN, SI_KERNEL, defaultAction, sigbit, signalName,
} from '../../abi/linux/signal.ts';
import { REG } from '../../platform.ts';
import { dumpCore } from '../process/coredump.ts';
import { abortSequence } from '../process/rseq.ts';
import type { Task } from '../process/task.ts';
import { setResult } from '../syscalls/args.ts';
import { isOrphaned } from '../tty/jobcontrol.ts';
import { pushFrame } from './frame.ts';
import { deliverable, forceSignal } from './send.ts';
import { DEFAULT_ACTION, UNBLOCKABLE, siginfo, takePending } from './state.ts';
import type { SigAction, SigInfo } from './state.ts';

/** In a wait(2) status. */
const WCOREFLAG = 0x80;
const RESTART_SYSCALL = 219n;
/** `syscall` is two bytes: a restart goes back onto it. */
const SYSCALL_BYTES = 2n;

/** Handles everything that stands between the task and ring 3. Afterwards it may be dead or stopped. */
export function deliverSignals(task: Task): void {
  task.work = false;
  const { signals } = task.process;
  for (;;) {
    const open = ~task.sigmask;
    const info = takePending(task, open) ?? takePending(signals, open);
    if (!info) break;
    if (!deliverOne(task, info, signals.action(info.signo))) return;
  }
  if (task.restart !== 0) restartCall(task);
  if (task.savedSigmask !== null) {
    task.sigmask = task.savedSigmask;
    task.savedSigmask = null;
    if (deliverable(task) !== 0n) deliverSignals(task);
  }
}

/** False: the task does not run on (dead or stopped). */
function deliverOne(task: Task, info: SigInfo, action: SigAction): boolean {
  const { signo } = info;
  if (action.handler === SIG_IGN && !(UNBLOCKABLE & sigbit(signo))) return true;
  if (action.handler > SIG_IGN) {
    task.kernel.tracer?.event(task, `--- ${signalName(signo)} {si_signo=${signalName(signo)}, si_code=${info.code}} ---`);
    startHandler(task, info, action);
    return true;
  }
  const what = defaultAction(signo);
  if (what === 'ign' || what === 'cont') return true;
  if (what === 'stop' && signo !== SIGSTOP && isOrphaned(task.kernel, task.process.pgid)) return true;
  task.kernel.tracer?.event(task, `--- ${signalName(signo)} {si_signo=${signalName(signo)}, si_code=${info.code}} ---`);
  if (what === 'stop') {
    task.work = true;
    task.kernel.stopProcess(task.process, signo);
    return false;
  }
  task.kernel.killedBy = info;
  task.kernel.exitGroup(task.process, what === 'core' && dumpCore(task, info) ? signo | WCOREFLAG : signo);
  return false;
}

function startHandler(task: Task, info: SigInfo, action: SigAction): void {
  const { signo } = info;
  if (task.restart !== 0) settleForHandler(task, action);
  if (action.flags & SA_RESETHAND) task.process.signals.actions[signo] = { ...action, handler: 0n };
  abortSequence(task);
  if (!pushFrame(task, action, info)) {
    if (signo === SIGSEGV) task.process.signals.actions[SIGSEGV] = DEFAULT_ACTION;
    forceSignal(task, siginfo(SIGSEGV, SI_KERNEL));
    return;
  }
  task.savedSigmask = null;
  const added = action.mask | (action.flags & SA_NODEFER ? 0n : sigbit(signo));
  task.sigmask = (task.sigmask | added) & ~UNBLOCKABLE;
}

/** An interrupted call meets a handler: it ends with EINTR, or starts again after the handler. */
function settleForHandler(task: Task, action: SigAction): void {
  const { restart } = task;
  const ends = restart === ERESTARTNOHAND || restart === ERESTART_RESTARTBLOCK
    || (restart === ERESTARTSYS && (action.flags & SA_RESTART) === 0);
  if (ends) setResult(task.context, -EINTR);
  else task.context.regs[REG.rip] -= SYSCALL_BYTES;
  task.restart = 0;
  task.syscallNr = -1;
}

/** An interrupted call without a handler: it runs again. */
function restartCall(task: Task): void {
  if (task.restart === ERESTART_RESTARTBLOCK) task.context.regs[REG.rax] = RESTART_SYSCALL;
  task.context.regs[REG.rip] -= SYSCALL_BYTES;
  task.restart = 0;
  task.syscallNr = -1;
}
