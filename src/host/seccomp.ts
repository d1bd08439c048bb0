// seccomp(2): an allow-list of system calls as a classic BPF program, for all threads of this process and for ever.

import koffi from 'koffi';
import * as S from '../abi/linux/confine.ts';
import { EPERM } from '../abi/linux/errno.ts';
import { SYS_seccomp } from '../abi/linux/hostcalls.ts';
import { HostError } from './errors.ts';
import { check } from './libc.ts';

/** A call that may be made: always, or when the low 32 bits of argument `arg` (from 0) are one of `oneOf`. */
export interface AllowedCall {
  readonly nr: number;
  readonly arg?: number;
  readonly oneOf?: readonly number[];
}

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, k: number];

const INSTRUCTION_BYTES = 8;
const REFUSE: Instruction = [S.BPF_RET_K, 0, 0, S.SECCOMP_RET_ERRNO | EPERM];
const ALLOW: Instruction = [S.BPF_RET_K, 0, 0, S.SECCOMP_RET_ALLOW];
const LOAD_NR: Instruction = [S.BPF_LD_W_ABS, 0, 0, S.SECCOMP_DATA_NR];

/** What decides about one call, the number being loaded; falls through when it is another call. */
function decide({ nr, arg, oneOf }: AllowedCall): Instruction[] {
  if (arg === undefined || oneOf === undefined) return [[S.BPF_JEQ_K, 0, 1, nr], ALLOW];
  const body: Instruction[] = [
    [S.BPF_LD_W_ABS, 0, 0, S.SECCOMP_DATA_ARGS + 8 * arg],
    ...oneOf.flatMap((value): Instruction[] => [[S.BPF_JEQ_K, 0, 1, value >>> 0], ALLOW]),
    REFUSE,
  ];
  return [[S.BPF_JEQ_K, 0, body.length, nr], ...body];
}

/** The program: calls of `allowed` pass (the first of it fastest), all others fail with EPERM; 32-bit calls end the process. */
export function compileFilter(allowed: readonly AllowedCall[]): Uint8Array {
  const program: Instruction[] = [
    [S.BPF_LD_W_ABS, 0, 0, S.SECCOMP_DATA_ARCH],
    [S.BPF_JEQ_K, 1, 0, S.AUDIT_ARCH_X86_64],
    [S.BPF_RET_K, 0, 0, S.SECCOMP_RET_KILL_PROCESS],
    LOAD_NR,
    [S.BPF_JGE_K, 0, 1, S.X32_SYSCALL_BIT],
    REFUSE,
    ...allowed.flatMap(decide),
    REFUSE,
  ];
  const view = new DataView(new ArrayBuffer(program.length * INSTRUCTION_BYTES));
  program.forEach(([code, ifTrue, ifFalse, k], i) => {
    view.setUint16(i * INSTRUCTION_BYTES, code, true);
    view.setUint8(i * INSTRUCTION_BYTES + 2, ifTrue);
    view.setUint8(i * INSTRUCTION_BYTES + 3, ifFalse);
    view.setUint32(i * INSTRUCTION_BYTES + 4, k, true);
  });
  return new Uint8Array(view.buffer);
}

koffi.struct('sock_fprog', { len: 'uint16', filter: 'void *' });
const seccomp = koffi.load('libc.so.6').func('syscall', 'long', ['long', 'long', 'long', 'sock_fprog *']) as
  (nr: number, operation: number, flags: number, program: { readonly len: number; readonly filter: Uint8Array }) => number;

/** Puts `filter` on every thread of this process, or on none. Needs no_new_privs. Throws HostError. */
export function installFilter(filter: Uint8Array): void {
  const program = { len: filter.length / INSTRUCTION_BYTES, filter };
  const thread = check('seccomp', seccomp(SYS_seccomp, S.SECCOMP_SET_MODE_FILTER, S.SECCOMP_FILTER_FLAG_TSYNC, program));
  if (thread !== 0) throw new HostError(`seccomp: thread ${thread} has a filter of its own`, EPERM);
}
