// The libc functions we call, through koffi. The only file that imports koffi besides arena.ts.
//
// Each wrapper throws HostError{op, errno} on failure; none blocks for long except `ioctl(KVM_RUN)`. Addresses (hva) are
// numbers: user addresses have 47 bits. A koffi call costs about 0.2 µs. Pointers are passed as typed arrays, which are only
// read and written during the call.

import koffi from 'koffi';
import { CLOCK_MONOTONIC, FALLOC_FL_KEEP_SIZE, FALLOC_FL_PUNCH_HOLE, SIGEV_THREAD_ID, SIG_BLOCK } from '../abi/linux/host.ts';
import { SYS_tgkill } from '../abi/linux/hostcalls.ts';
import { bytes, i32, i64, struct, u64, buffer } from '../abi/struct.ts';
import { HostError } from './errors.ts';

type Bytes = Uint8Array;

const libc = koffi.load('libc.so.6');
const c = {
  open: libc.func('int open(const char *, int, int)') as (path: string, flags: number, mode: number) => number,
  close: libc.func('int close(int)') as (fd: number) => number,
  ioctlPointer: libc.func('ioctl', 'int', ['int', 'ulong', 'void *']) as (fd: number, request: number, argument: Bytes) => number,
  ioctlInteger: libc.func('ioctl', 'int', ['int', 'ulong', 'long']) as (fd: number, request: number, argument: number) => number,
  mmap: libc.func('int64_t mmap(int64_t, size_t, int, int, int, int64_t)') as
    (hva: number, size: number, prot: number, flags: number, fd: number, offset: number) => number,
  munmap: libc.func('int munmap(int64_t, size_t)') as (hva: number, size: number) => number,
  mprotect: libc.func('int mprotect(int64_t, size_t, int)') as (hva: number, size: number, prot: number) => number,
  madvise: libc.func('int madvise(int64_t, size_t, int)') as (hva: number, size: number, advice: number) => number,
  getrusage: libc.func('int getrusage(int, void *)') as (who: number, usage: Bytes) => number,
  memfd_create: libc.func('int memfd_create(const char *, uint)') as (name: string, flags: number) => number,
  fallocate: libc.func('int fallocate(int, int, int64_t, int64_t)') as (fd: number, mode: number, offset: number, size: number) => number,
  pwrite: libc.func('int64_t pwrite(int, int64_t, size_t, int64_t)') as (fd: number, hva: number, size: number, offset: number) => number,
  ftruncate: libc.func('int ftruncate(int, int64_t)') as (fd: number, size: number) => number,
  pthread_sigmask: libc.func('int pthread_sigmask(int, void *, void *)') as (how: number, set: Bytes, old: null) => number,
  timer_create: libc.func('int timer_create(int, void *, void *)') as (clock: number, event: Bytes, id: Bytes) => number,
  timer_settime: libc.func('int timer_settime(int64_t, int, void *, void *)') as
    (id: number, flags: number, value: Bytes, old: null) => number,
  timer_delete: libc.func('int timer_delete(int64_t)') as (id: number) => number,
  flock: libc.func('int flock(int, int)') as (fd: number, operation: number) => number,
  sigtimedwait: libc.func('int sigtimedwait(void *, void *, void *)') as (set: Bytes, info: null, timeout: Bytes) => number,
  _exit: libc.func('void _exit(int)') as (status: number) => void,
  gettid: libc.func('int gettid()') as () => number,
  syscall3: libc.func('syscall', 'long', ['long', 'long', 'long', 'long']) as (nr: number, a: number, b: number, c: number) => number,
};

/** `result`, or the errno of the call that just failed as an error named `op`. */
export function check(op: string, result: number): number {
  if (result < 0) throw new HostError(op, koffi.errno());
  return result;
}

/** open(2): a file descriptor. */
export function open(path: string, flags: number, mode = 0): number {
  return check(`open ${path}`, c.open(path, flags, mode));
}

/** _exit(2): ends the process at once, without anything the runtime does at its end. */
export function exitNow(status: number): void {
  c._exit(status);
}

export function close(fd: number): void {
  check('close', c.close(fd));
}

/** flock(2): 0, or -errno. `operation`: LOCK_*. */
export function flockTry(fd: number, operation: number): number {
  return c.flock(fd, operation) === 0 ? 0 : -koffi.errno();
}

/** ioctl(2) with a pointer to `argument`; `op` names it in errors. */
export function ioctlPointer(op: string, fd: number, request: number, argument: Uint8Array): number {
  return check(op, c.ioctlPointer(fd, request, argument));
}

/** ioctl(2) with an integer argument; `op` names it in errors. */
export function ioctlInteger(op: string, fd: number, request: number, argument: number): number {
  return check(op, c.ioctlInteger(fd, request, argument));
}

/** ioctl(2) that is expected to fail sometimes: the result, or -errno. Allocates nothing. */
export function ioctlTry(fd: number, request: number, argument: number): number {
  const result = c.ioctlInteger(fd, request, argument);
  return result < 0 ? -koffi.errno() : result;
}

/** ioctl(2) with a pointer, expected to fail sometimes: the result, or -errno. */
export function ioctlTryPointer(fd: number, request: number, argument: Uint8Array): number {
  const result = c.ioctlPointer(fd, request, argument);
  return result < 0 ? -koffi.errno() : result;
}

/** mmap(2): the hva. */
export function mmap(hva: number, sizeBytes: number, prot: number, flags: number, fd: number, offset: number): number {
  return check('mmap', c.mmap(hva, sizeBytes, prot, flags, fd, offset));
}

export function munmap(hva: number, sizeBytes: number): void {
  check('munmap', c.munmap(hva, sizeBytes));
}

export function mprotect(hva: number, sizeBytes: number, prot: number): void {
  check('mprotect', c.mprotect(hva, sizeBytes, prot));
}

export function getrusage(who: number, usage: Uint8Array): void {
  check('getrusage', c.getrusage(who, usage));
}

export function madvise(hva: number, sizeBytes: number, advice: number): void {
  check('madvise', c.madvise(hva, sizeBytes, advice));
}

/** memfd_create(2): a file descriptor of an anonymous file. */
export function memfdCreate(name: string, flags: number): number {
  return check('memfd_create', c.memfd_create(name, flags));
}

export function ftruncate(fd: number, sizeBytes: number): void {
  check('ftruncate', c.ftruncate(fd, sizeBytes));
}

/** Gives back what [offset, offset+sizeBytes) of a file of memory holds: it reads as zeros. */
export function punchHole(fd: number, offset: number, sizeBytes: number): void {
  check('fallocate', c.fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, sizeBytes));
}

/** Writes memory of this process, all of it, to a file. */
export function pwriteAll(fd: number, hva: number, sizeBytes: number, offset: number): void {
  for (let done = 0; done < sizeBytes;) done += check('pwrite', c.pwrite(fd, hva + done, sizeBytes - done, offset + done));
}

/** The kernel's thread id of the calling thread. */
export function gettid(): number {
  return c.gettid();
}

/** Sends `signal` to one thread of this process. */
export function tgkill(pid: number, tid: number, signal: number): void {
  check('tgkill', c.syscall3(SYS_tgkill, pid, tid, signal));
}

/** A sigset_t as libc wants it (128 bytes), holding `signal`. */
function sigset(signal: number): Uint8Array {
  const set = new Uint8Array(128);
  set[(signal - 1) >> 3] = 1 << ((signal - 1) & 7);
  return set;
}

/** Blocks `signal` in the calling thread. */
export function blockSignal(signal: number): void {
  const error = c.pthread_sigmask(SIG_BLOCK, sigset(signal), null);
  if (error !== 0) throw new HostError('pthread_sigmask', error);
}

const Timespec = struct('timespec', 16, { tv_sec: i64, tv_nsec: i64 });
const SigEvent = struct('sigevent', 64, {
  sigev_value: u64, sigev_signo: i32, sigev_notify: i32, sigev_notify_thread_id: i32, _pad: bytes(44),
});
const NO_WAIT = new Uint8Array(Timespec.size);

/** Takes a pending blocked signal without waiting. False when none was pending. */
export function signalTaker(signal: number): () => boolean {
  const set = sigset(signal);
  return () => c.sigtimedwait(set, null, NO_WAIT) === signal;
}

/** A POSIX timer that sends a signal to the thread that made it (timer_create(2), SIGEV_THREAD_ID). */
export class ThreadTimer {
  readonly #id: number;
  readonly #value = buffer(2 * Timespec.size);
  readonly #words = new Uint32Array(this.#value.u8.buffer);

  constructor(signal: number) {
    const event = buffer(SigEvent.size);
    SigEvent.write(event.view, 0, { sigev_signo: signal, sigev_notify: SIGEV_THREAD_ID, sigev_notify_thread_id: gettid() });
    const id = buffer(8);
    check('timer_create', c.timer_create(CLOCK_MONOTONIC, event.u8, id.u8));
    this.#id = Number(id.view.getBigInt64(0, true));
  }

  /** Fires once after `ns` nanoseconds; 0 stops it. */
  set(ns: number): void {
    const words = this.#words; // itimerspec: interval sec, nsec, value sec, nsec; the high halves stay 0
    words[4] = Math.floor(ns / 1e9);
    words[6] = ns % 1e9;
    check('timer_settime', c.timer_settime(this.#id, 0, this.#value.u8, null));
  }

  close(): void {
    c.timer_delete(this.#id);
  }
}
