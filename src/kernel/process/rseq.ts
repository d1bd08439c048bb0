// Restartable sequences: rseq(2), include/uapi/linux/rseq.h. A thread registers a struct in its memory; when it is preempted
// or gets a signal inside the sequence that struct names, it goes on at the sequence's abort handler.
// On one CPU the cpu_id fields never change. What the guest writes there is checked: anything odd is SIGSEGV, as on Linux.

import { EBUSY, EFAULT, EINVAL, EPERM } from '../../abi/linux/errno.ts';
import { SIGSEGV, SI_KERNEL } from '../../abi/linux/signal.ts';
import { REG, USER_END } from '../../platform.ts';
import { forceSignal } from '../signal/send.ts';
import { siginfo } from '../signal/state.ts';
import type { Task } from './task.ts';

/** struct rseq: cpu_id_start, cpu_id, rseq_cs, flags, node_id, mm_cid. */
const CPU_ID_START = 0, CPU_ID = 4, RSEQ_CS = 8, NODE_ID = 20;
const RSEQ_BYTES_MIN = 32, RSEQ_BYTES_MAX = 4096;
const RSEQ_CPU_ID_UNINITIALIZED = 0xffff_ffff;
/** struct rseq_cs: version, flags, start_ip, post_commit_offset, abort_ip. */
const CS_BYTES = 32, CS_START = 8, CS_LENGTH = 16, CS_ABORT = 24;

/** rseq(RSEQ_REGISTER): 0 or -errno. */
export function registerRseq(task: Task, address: number, size: number, signature: number): number {
  const { rseq } = task;
  if (rseq.address !== 0) {
    if (rseq.address !== address || rseq.size !== size) return -EINVAL;
    return rseq.signature === signature ? -EBUSY : -EPERM;
  }
  if (address % 32 !== 0 || size < RSEQ_BYTES_MIN || size > RSEQ_BYTES_MAX) return -EINVAL;
  if (address === 0 || address + size > USER_END) return -EFAULT;
  const { mm } = task.process;
  if (mm.writeU32(address + CPU_ID_START, 0) < 0 || mm.writeU32(address + CPU_ID, 0) < 0 || mm.writeU32(address + NODE_ID, 0) < 0) return -EFAULT;
  task.rseq = { address, size, signature };
  return 0;
}

/** rseq(RSEQ_FLAG_UNREGISTER): 0 or -errno. */
export function unregisterRseq(task: Task, address: number, size: number, signature: number): number {
  const { rseq } = task;
  if (rseq.address === 0 || rseq.address !== address || rseq.size !== size) return -EINVAL;
  if (rseq.signature !== signature) return -EPERM;
  const { mm } = task.process;
  if (mm.writeU32(address + CPU_ID_START, 0) < 0 || mm.writeU32(address + CPU_ID, RSEQ_CPU_ID_UNINITIALIZED) < 0) return -EFAULT;
  task.rseq = { address: 0, size: 0, signature: 0 };
  return 0;
}

/** The task was preempted or is about to run a signal handler: it leaves the sequence it may be in. */
export function abortSequence(task: Task): void {
  if (task.rseq.address === 0) return;
  if (!leaveSequence(task)) forceSignal(task, siginfo(SIGSEGV, SI_KERNEL));
}

function leaveSequence(task: Task): boolean {
  const { mm } = task.process;
  const pointer = task.rseq.address + RSEQ_CS;
  const descriptor = mm.readAddr(pointer);
  if (descriptor === 0) return true;
  if (descriptor < 0) return false;
  const bytes = mm.readBytes(descriptor, CS_BYTES);
  if (typeof bytes === 'number') return false;
  const view = new DataView(bytes.buffer, bytes.byteOffset, CS_BYTES);
  const start = view.getBigUint64(CS_START, true), abort = view.getBigUint64(CS_ABORT, true);
  const length = view.getBigUint64(CS_LENGTH, true);
  const rip = task.context.regs[REG.rip];
  if (view.getUint32(0, true) !== 0 || abort < 4n || abort >= BigInt(USER_END) || abort - start < length && abort >= start) return false;
  // The handler's address must be marked by the registered signature, so that nobody is sent to a place of another's choice.
  if (mm.readU32(Number(abort) - 4) !== task.rseq.signature) return false;
  if (rip >= start && rip - start < length) task.context.regs[REG.rip] = abort;
  return mm.writeU64(pointer, 0n) === 0;
}
