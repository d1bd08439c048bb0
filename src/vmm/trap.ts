// Trap: which of our own pieces of code an exit came from, by RIP. exits.ts makes a Trap of it.
//
// A system call is one only if RIP is in the stub, an exception only if RIP is in the exception page at CPL 0.

import { PAGE_SIZE } from '../abi/x86/cpu.ts';
import { HANDLER_STRIDE } from './layout.ts';
import * as L from './layout.ts';
import { CODE_STUB, CODE_WRITER } from './area.ts';
import { ANSWERS, CWD_ANSWER, PATH_ANSWERS, SIGNAL_ANSWER } from './answercode.ts';
import { code, type Listing } from './stub.ts';

/** Which of our own pieces of code an `out` came from. */
export const AT_RING3 = -1;
export const AT_STUB = -2;
export const AT_WRITER = -3;
/** At CPL 0 but not behind an `out` of ours. */
export const AT_ELSEWHERE = -4;

const OUT_BYTES = 2;
/** `out` of the PTE writer: its offset in the listing (stub.ts), checked by test/unit/stub.test.ts. */
export const WRITER_OUT = 0x1b;

/**
 * What ran the `out` that RIP (low, high) is behind: a vector number, or AT_*. `atInstruction` allows RIP at the `out`
 * itself, as KVMs without the port-0x7e quirk leave it.
 */
export function whoExited(ripLow: number, ripHigh: number): number {
  if (ripHigh === L.SUPER_PAGES_HIGH) {
    const page = ripLow & ~0xfff;
    const offset = ripLow & 0xfff;
    if (page === L.HANDLER_LOW) return offset % HANDLER_STRIDE <= OUT_BYTES ? Math.floor(offset / HANDLER_STRIDE) : AT_ELSEWHERE;
    if (page === L.CODE_LOW) {
      if (offset === CODE_STUB || offset === CODE_STUB + OUT_BYTES) return AT_STUB;
      if (offset === CODE_WRITER + WRITER_OUT || offset === CODE_WRITER + WRITER_OUT + OUT_BYTES) return AT_WRITER;
    }
    return AT_ELSEWHERE;
  }
  return AT_RING3;
}

const USER_STUB_LOW = L.USER_STUB_GVA % 2 ** 32;
const USER_STUB_HIGH = Math.floor(L.USER_STUB_GVA / 2 ** 32);

/** Whether RIP is behind the `out` of the user-readable stub. */
export function atUserStub(ripLow: number, ripHigh: number): boolean {
  return ripHigh === USER_STUB_HIGH && (ripLow === USER_STUB_LOW || ripLow === USER_STUB_LOW + OUT_BYTES);
}

/** Whether RIP is at the `out` of the user-readable stub: the next instruction exits. Anywhere else in its page ring 3 may loop. */
export function beforeUserStub(ripLow: number, ripHigh: number): boolean {
  return ripHigh === USER_STUB_HIGH && ripLow === USER_STUB_LOW;
}

/** Where the result of an answer is in RAX: its last two instructions. */
function answered(listing: Listing, start: number): number[] {
  const offsets: number[] = [];
  let at = start;
  for (const [line, bytes] of listing) {
    if (line === 'mov %r11, %rcx' || line === 'jmp *%r11') offsets.push(at);
    at += bytes.length;
  }
  return offsets;
}

/** Offsets from PATHS_GVA. */
const STUB = L.USER_STUB_GVA - L.PATHS_GVA, BEGUN_END = L.VVAR_GVA + L.ANSWERS_OFFSET - L.PATHS_GVA;
const ANSWERED = new Set([
  ...answered(PATH_ANSWERS, 0), ...answered(CWD_ANSWER, L.CWD_OFFSET), ...answered(SIGNAL_ANSWER, L.SIGNALS_OFFSET), ...answered(ANSWERS, BEGUN_END),
]);
const ANSWERS_END = BEGUN_END + code(ANSWERS).length;
const PATHS_LOW = L.PATHS_GVA % 2 ** 32;

/**
 * How far RIP is in the stub and its answers: 'begun', return address and flags are where `syscall` put them; 'answering', or 'looking up' a path: RAX, RDI
 * and R10 are no more what they were; 'answered'; or not there.
 */
export function inAnswers(ripLow: number, ripHigh: number): 'begun' | 'answering' | 'looking up' | 'answered' | null {
  const offset = ripLow - PATHS_LOW;
  if (ripHigh !== USER_STUB_HIGH || offset < 0 || offset >= ANSWERS_END || (offset >= PAGE_SIZE && offset < STUB)) return null;
  if (offset >= STUB && offset <= BEGUN_END) return 'begun';
  if (ANSWERED.has(offset)) return 'answered';
  return offset < L.CWD_OFFSET ? 'looking up' : 'answering';
}
