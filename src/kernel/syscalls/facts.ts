// Facts: what the machine is told about the file that a program has just opened or read, so that it can answer what programs ask next
// (position, attributes, whether it is a terminal, whether it is at its end) without a trap; and, behind a question about one signal's action,
// which others are the default; and who runs, which a C library asks behind fork(2). They hold until ring 3 traps.
//
// Interface: `noteCall` behind each call, `tellMachine` before ring 3 runs again. No facts while calls are traced; answered calls are in no count.

import { REG } from '../../platform.ts';
import type { FileFacts, SignalFacts } from '../../platform.ts';
import { DirFile } from '../fs/dirfile.ts';
import { MemInode } from '../fs/meminode.ts';
import type { Task } from '../process/task.ts';
import { encodeStat } from './stat.ts';

const POS_MAX = 2 ** 31 - 1;
const READ = 0, OPEN = 2, FSTAT = 5, LSEEK = 8, RT_SIGACTION = 13, IOCTL = 16, GETDENTS64 = 217, OPENAT = 257, NEWFSTATAT = 262;
const SIGNALS = 64;

/** A call of `task` has ended: what may be asked about next. */
export function noteCall(task: Task, nr: number): void {
  const { regs32 } = task.context;
  switch (nr) {
    case OPEN:
    case OPENAT:
      task.askedFd = regs32[REG.rax * 2] | 0;
      task.askedBy = nr;
      break;
    case READ:
    case FSTAT:
    case LSEEK:
    case IOCTL:
    case GETDENTS64:
    case NEWFSTATAT:
      task.askedFd = regs32[REG.rdi * 2] | 0;
      task.askedBy = nr;
      break;
    case RT_SIGACTION:
      task.askedBy = nr;
      break;
    default:
      task.askedBy = -1;
  }
}

/** `task` runs next. */
export function tellMachine(task: Task): void {
  const { kernel, askedBy } = task;
  if (kernel.tracer) return;
  const signals = askedBy === RT_SIGACTION ? signalFacts(task) : null;
  const file = askedBy < 0 || signals ? null : fileFacts(task);
  if (kernel.pathFacts.refresh(task) || file || signals || task.isForked) kernel.machine.answerFrom?.(task, file, signals);
  task.isForked = false;
}

/** Nobody else has run since its last call, which was about `askedFd`. */
function fileFacts(task: Task): FileFacts | null {
  const fd = task.askedFd;
  const file = fd < 0 ? undefined : task.process.files.get(fd);
  if (!file || file.pos > POS_MAX) return null;
  const { inode, pos } = file;
  if (file.kind === 'reg') {
    if (!file.canRead()) return null;
    // Only a read sets the access time, so the next one at the end need not.
    const atEnd = task.askedBy === READ && pos >= inode.sizeBytes;
    return { fd, pos, atEnd, atLastEntry: false, stat: encodeStat(inode) };
  }
  if (!(file instanceof DirFile) || !(inode instanceof MemInode)) return null;
  return { fd, pos, atEnd: false, atLastEntry: task.askedBy === GETDENTS64 && isReadToTheEnd(file, inode), stat: encodeStat(inode) };
}

/** Whether getdents64 would find nothing, leave the access time and be heard by nobody. */
function isReadToTheEnd(file: DirFile, dir: MemInode): boolean {
  if (dir.watches !== null || file.dentry?.parent?.inode.watches) return false;
  return dir.nlink > 0 && dir.atime > dir.mtime && dir.atime > dir.ctime && file.isAtEnd();
}

/** By signal number; 0 where all of struct sigaction is zeros. */
const defaults = new Uint8Array(256);

function signalFacts(task: Task): SignalFacts {
  const { actions } = task.process.signals;
  defaults.fill(1);
  for (let signo = 1; signo <= SIGNALS; signo++) {
    const action = actions[signo];
    const isDefault = !action || (action.handler === 0n && action.flags === 0 && action.restorer === 0n && action.mask === 0n);
    if (isDefault) defaults[signo] = 0;
  }
  return defaults;
}
