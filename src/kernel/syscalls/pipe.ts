// pipe(2), pipe2(2).

import { EFAULT, EINVAL } from '../../abi/linux/errno.ts';
import { newPipe } from '../ipc/pipe.ts';
import type { Task } from '../process/task.ts';
import { FLAGS, FULL, OUT_BUF, PARTIAL, sys } from './row.ts';
import type { SyscallRow } from './row.ts';

const O_NONBLOCK = 0o4000, O_CLOEXEC = 0o2000000;

function pipe2(task: Task, fds: number, flags: number): number {
  if ((flags & ~(O_NONBLOCK | O_CLOEXEC)) !== 0) {
    task.kernel.count(`pipe2 flags 0x${flags.toString(16)}`);
    return -EINVAL;
  }
  const { files, mm } = task.process;
  const cloexec = (flags & O_CLOEXEC) !== 0;
  const [reader, writer] = newPipe(task, flags);
  const readFd = files.install(reader, 0, cloexec);
  if (readFd < 0) {
    reader.unref();
    writer.unref();
    return readFd;
  }
  const writeFd = files.install(writer, 0, cloexec);
  if (writeFd < 0) writer.unref();
  else if (mm.writeU32(fds, readFd) === 0 && mm.writeU32(fds + 4, writeFd) === 0) return 0;
  else files.close(writeFd);
  files.close(readFd);
  return writeFd < 0 ? writeFd : -EFAULT;
}

function pipe(task: Task, fds: number): number {
  return pipe2(task, fds, 0);
}

export const rows: readonly SyscallRow[] = [
  sys(22, 'pipe', pipe, FULL, [OUT_BUF]),
  sys(293, 'pipe2', pipe2, PARTIAL('O_DIRECT (packet mode) is EINVAL'), [OUT_BUF, FLAGS]),
];
