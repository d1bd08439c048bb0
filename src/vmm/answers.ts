// Answers: what ring 3 is told about one open file without leaving the VM (PVM-style hosts; the code is ANSWERS in stub.ts). A trap costs 28 us
// there, an answer 1, and programs ask the same file four things behind each open(2).
//
// Interface: `set` right before a run, `off` right behind it, whatever ended it. What is told holds while nothing but ring 3 runs: the kernel
// changes files only between runs, and one VM of a process runs at a time, which is why the shared page can hold it. Nothing is believed
// that comes back: a call that is not answered arrives as ever, and `exits.ts` finds out from RIP where ring 3 stands.

import type { FileFacts } from '../platform.ts';
import type { Area } from './area.ts';
import * as L from './layout.ts';
import { ANSWERS, type Listing } from './stub.ts';

const STAT_BYTES = 144;
/** `jmp` over the two instructions of the stub; and the first of them, `out`, as 16-bit words. */
const JUMP = 0x02eb, OUT = L.PORT << 8 | 0xe6;
/** What `lea`, as it is in the listing, adds to the descriptor when there is none: no descriptor is as large. */
const NO_FD = 0x4000_0000;

/** Offset in the listing behind the line that holds `text`. */
function behind(listing: Listing, text: string): number {
  let at = 0;
  for (const [line, bytes] of listing) {
    at += bytes.length;
    if (line.includes(text)) return at;
  }
  throw new Error(`no ${text} in the listing`);
}

/** The constants are the last four bytes of their instructions. */
const FD_AT = behind(ANSWERS, '0x12345678(%rdi)') - 4;
const POS_AT = behind(ANSWERS, '0x12345678, %eax') - 4;
const NOT_AT_END_AT = behind(ANSWERS, '0x12345678, %ecx') - 4;

export class Answers {
  readonly #page: DataView;
  readonly #stat: Uint8Array;
  #isOn = false;
  /** Whose file the page tells about: nobody else may read it. */
  #owner: object | null = null;

  constructor(area: Area) {
    this.#page = area.stubPage;
    this.#stat = new Uint8Array(this.#page.buffer, this.#page.byteOffset + L.ANSWERS_STAT_OFFSET, STAT_BYTES);
    this.#write(NO_FD, 0, false);
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** From now on `owner` is told about this file. */
  set(owner: object, { fd, pos, atEnd, stat }: FileFacts): void {
    this.#owner = owner;
    this.#stat.set(stat);
    this.#write(fd, pos, atEnd);
    this.#page.setUint16(L.USER_STUB_OFFSET, JUMP, true);
    this.#isOn = true;
  }

  /** Nobody is told anything. */
  off(): void {
    if (!this.#isOn) return;
    this.#page.setUint16(L.USER_STUB_OFFSET, OUT, true);
    this.#isOn = false;
  }

  /** Before `runner` runs: what the page told another is no longer there. */
  forget(runner: object): void {
    if (this.#owner === runner || this.#owner === null) return;
    this.off();
    this.#owner = null;
    this.#stat.fill(0);
    this.#write(NO_FD, 0, false);
  }

  #write(fd: number, pos: number, atEnd: boolean): void {
    const page = this.#page;
    page.setInt32(L.ANSWERS_OFFSET + FD_AT, -fd, true);
    page.setInt32(L.ANSWERS_OFFSET + POS_AT, pos, true);
    page.setInt32(L.ANSWERS_OFFSET + NOT_AT_END_AT, atEnd ? 0 : 1, true);
  }
}
