// Answers: what ring 3 is told without leaving the VM (PVM-style hosts; the code is in answercode.ts). A trap costs 28 us there, an answer 1, and
// programs ask the same things again and again: four about each file they open, the stats of the same paths, where they are.
//
// Interface: `set` right before a run, `off` right behind it, whatever ended it; what is told about a file and about signals holds for that run. `pathsOf`:
// what is kept from run to run, and told in those that `set` was called for. All is true while nothing but ring 3 runs: the kernel
// changes files only between runs, and one VM of a process runs at a time, which is why the shared pages can hold it. Nothing is believed
// that comes back: a call that is not answered arrives as ever, and `exits.ts` finds out from RIP where ring 3 stands.

import type { FileFacts, PathAnswers, SignalFacts, ThreadFacts } from '../platform.ts';
import { ANSWERS, CWD_ANSWER } from './answercode.ts';
import type { Area } from './area.ts';
import * as L from './layout.ts';
import { PathSlots, STAT_BYTES } from './pathslots.ts';
import { code, type Listing } from './stub.ts';

/** `jmp` over the two instructions of the stub; and the first of them, `out`, as 16-bit words. */
const JUMP = 0x02eb, OUT = L.PORT << 8 | 0xe6;
/** What `lea`, as it is in the listing, adds to the descriptor when there is none: no descriptor is as large. */
const NO_FD = 0x4000_0000;
const NO_THREAD: ThreadFacts = { tid: 0, robustList: 0 };
const CWD_BYTES_MAX = 128;
/** `movl` and `movb` of a constant to a place behind RDI: opcode, and bytes without the constant. */
const MOVL = 0x87c7, MOVB = 0x87c6, MOV_BYTES = 6;

/** Offsets in the listing behind the lines that hold `text`. */
function behind(listing: Listing, text: string): number[] {
  const found: number[] = [];
  let at = 0;
  for (const [line, bytes] of listing) {
    at += bytes.length;
    if (line.includes(text)) found.push(at);
  }
  return found;
}

/** The constants are the last four bytes of their instructions. */
const FD_AT = behind(ANSWERS, '0x12345678(%rdi)').map((at) => L.ANSWERS_OFFSET + at - 4);
const [POS_AT] = behind(ANSWERS, '0x12345678, %eax').map((at) => L.ANSWERS_OFFSET + at - 4);
const [NOT_AT_END_AT] = behind(ANSWERS, '0x12345678, %ecx').map((at) => L.ANSWERS_OFFSET + at - 4);
const [NOT_AT_LAST_AT] = behind(ANSWERS, '0x23456789, %ecx').map((at) => L.ANSWERS_OFFSET + at - 4);
const [TID_AT] = behind(ANSWERS, '0x3456789a, %eax').map((at) => L.ANSWERS_OFFSET + at - 4);
const [ROBUST_AT] = behind(ANSWERS, '0x123456789abcdef0, %rcx').map((at) => L.ANSWERS_OFFSET + at - 8);
const [CWD_LENGTH_AT] = behind(CWD_ANSWER, '0x12345678, %eax').map((at) => L.CWD_OFFSET + at - 4);
/** Where the stores of the path begin: at the last line, which leaves. */
const CWD_LEAVE = CWD_ANSWER[CWD_ANSWER.length - 1][1];
const CWD_STORES_AT = L.CWD_OFFSET + code(CWD_ANSWER).length - CWD_LEAVE.length;

export class Answers {
  readonly #page: DataView;
  readonly #more: DataView;
  readonly #stat: Uint8Array;
  readonly #signals: Uint8Array;
  readonly #slots: PathSlots;
  #isOn = false;
  #tellsSignals = true;
  #cwd: string | null = '';
  /** Whose answers the pages hold: nobody else may read them. */
  #owner: object | null = null;

  constructor(area: Area) {
    this.#page = area.stubPage;
    this.#more = area.pathsPage;
    this.#stat = new Uint8Array(this.#page.buffer, this.#page.byteOffset + L.ANSWERS_STAT_OFFSET, STAT_BYTES);
    this.#signals = new Uint8Array(this.#more.buffer, this.#more.byteOffset + L.SIGNAL_TABLE_OFFSET, 256);
    this.#slots = new PathSlots(area.pathsPage, area.slots);
    this.#forgetAll();
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** From now on `owner` is told about this thread, this file and these signals, and what is kept for it. */
  set(owner: object, thread: ThreadFacts, facts: FileFacts | null, signals: SignalFacts | null): void {
    this.#own(owner);
    this.#writeThread(thread);
    if (facts) this.#stat.set(facts.stat);
    this.#write(facts);
    if (signals) this.#signals.set(signals);
    else if (this.#tellsSignals) this.#signals.fill(1);
    this.#tellsSignals = signals !== null;
    this.#page.setUint16(L.USER_STUB_OFFSET, JUMP, true);
    this.#isOn = true;
  }

  /** What is kept for `owner`. */
  pathsOf(owner: object): PathAnswers {
    const isKept = (): boolean => this.#owner === owner;
    return {
      slots: PathSlots.COUNT,
      get isKept() { return isKept(); },
      set: (slot, path, result, stat) => {
        this.#own(owner);
        return this.#slots.set(slot, path, result, stat);
      },
      setCwd: (path) => {
        this.#own(owner);
        this.#setCwd(path);
      },
      clear: () => {
        if (isKept()) this.#forgetAll();
      },
    };
  }

  /** Nobody is told anything. */
  off(): void {
    if (!this.#isOn) return;
    this.#page.setUint16(L.USER_STUB_OFFSET, OUT, true);
    this.#isOn = false;
  }

  /** Before `runner` runs: what the pages told another is no longer there. */
  forget(runner: object): void {
    if (this.#owner === runner || this.#owner === null) return;
    this.off();
    this.#owner = null;
    this.#forgetAll();
  }

  #own(owner: object): void {
    this.forget(owner);
    this.#owner = owner;
  }

  #forgetAll(): void {
    this.#stat.fill(0);
    this.#writeThread(NO_THREAD);
    this.#write(null);
    this.#signals.fill(1);
    this.#tellsSignals = false;
    this.#setCwd(null);
    this.#slots.clear();
  }

  #writeThread({ tid, robustList }: ThreadFacts): void {
    const page = this.#page;
    page.setInt32(TID_AT, tid, true);
    page.setInt32(ROBUST_AT, ~(robustList % 2 ** 32), true); // compared without a flag: its complement and it and 1 make 0
    page.setInt32(ROBUST_AT + 4, ~Math.floor(robustList / 2 ** 32), true);
  }

  #write(facts: FileFacts | null): void {
    const page = this.#page;
    for (const at of FD_AT) page.setInt32(at, -(facts?.fd ?? NO_FD), true);
    page.setInt32(POS_AT, facts?.pos ?? 0, true);
    page.setInt32(NOT_AT_END_AT, facts?.atEnd === true ? 0 : 1, true);
    page.setInt32(NOT_AT_LAST_AT, facts?.atLastEntry === true ? 0 : 1, true);
  }

  /** Writes code that stores the path, four bytes at a time and the rest one by one: no byte behind it is touched. */
  #setCwd(path: string | null): void {
    if (path === this.#cwd) return;
    this.#cwd = path;
    const page = this.#more;
    let at = CWD_STORES_AT;
    if (path === null || path.length + 1 > CWD_BYTES_MAX) {
      CWD_LEAVE.forEach((byte, i) => page.setUint8(at + i, byte));
      return;
    }
    const bytes = Buffer.from(`${path}\0`, 'latin1');
    for (let offset = 0; offset < bytes.length;) {
      const isLong = offset + 4 <= bytes.length;
      page.setUint16(at, isLong ? MOVL : MOVB, true);
      page.setUint32(at + 2, offset, true);
      if (isLong) page.setUint32(at + MOV_BYTES, bytes.readUInt32LE(offset), true);
      else page.setUint8(at + MOV_BYTES, bytes[offset]);
      at += MOV_BYTES + (isLong ? 4 : 1);
      offset += isLong ? 4 : 1;
    }
    page.setInt32(CWD_LENGTH_AT, bytes.length, true);
    page.setUint8(at, 0xe9); // jmp
    page.setInt32(at + 1, CWD_LENGTH_AT - 1 - (at + 5), true);
  }
}
