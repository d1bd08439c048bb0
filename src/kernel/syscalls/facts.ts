// Facts: what the machine is told about a file that a program has just opened or read, so that it can answer what programs ask next
// (position, attributes, whether it is a terminal, whether it is at its end) without a trap. They hold until ring 3 traps.
//
// Interface: `noteFile` behind each call, `tellMachine` before ring 3 runs again. No facts while calls are traced; answered calls are in no count.

import { REG } from '../../platform.ts';
import type { FileFacts } from '../../platform.ts';
import type { Task } from '../process/task.ts';
import { encodeStat } from './stat.ts';

const POS_MAX = 2 ** 31 - 1;
const READ = 0, OPEN = 2, FSTAT = 5, LSEEK = 8, IOCTL = 16, OPENAT = 257, NEWFSTATAT = 262;

/** A call of `task` has ended: which file may be asked about next. */
export function noteFile(task: Task, nr: number): void {
  const { regs32 } = task.context;
  switch (nr) {
    case OPEN:
    case OPENAT:
      task.askedFd = regs32[REG.rax * 2] | 0;
      task.askedAfterRead = false;
      break;
    case READ:
    case FSTAT:
    case LSEEK:
    case IOCTL:
    case NEWFSTATAT:
      task.askedFd = regs32[REG.rdi * 2] | 0;
      task.askedAfterRead = nr === READ;
      break;
    default:
  }
}

/** `task` runs next. */
export function tellMachine(task: Task): void {
  const { kernel } = task;
  if (kernel.tracer) return;
  const file = task.askedFd < 0 ? null : fileFacts(task);
  if (kernel.pathFacts.refresh(task) || file) kernel.machine.answerFrom?.(file);
}

/** Nothing has run since its last call, which was about `askedFd`. */
function fileFacts(task: Task): FileFacts | null {
  const fd = task.askedFd;
  task.askedFd = -1;
  const file = task.process.files.get(fd);
  if (!file || file.kind !== 'reg' || !file.canRead() || file.pos > POS_MAX) return null;
  // Only a read sets the access time, so the next one at the end need not.
  const atEnd = task.askedAfterRead && file.pos >= file.inode.sizeBytes;
  return { fd, pos: file.pos, atEnd, stat: encodeStat(file.inode) };
}
