// Answers: what ring 3 is told about one open file without leaving the VM (PVM-style hosts; the code is ANSWERS in stub.ts). A trap costs 28 us
// there, an answer 1, and programs ask the same file four things behind each open(2).
//
// Some paths' stats as well: each slot of the page of paths is a struct stat and code that compares a path with constants.
//
// Interface: `set` right before a run, `off` right behind it, whatever ended it. What is told holds while nothing but ring 3 runs: the kernel
// changes files only between runs, and one VM of a process runs at a time, which is why the shared page can hold it. Nothing is believed
// that comes back: a call that is not answered arrives as ever, and `exits.ts` finds out from RIP where ring 3 stands.

import type { FileFacts } from '../platform.ts';
import type { Area } from './area.ts';
import * as L from './layout.ts';
import { ANSWERS, PATH_ANSWERS, type Listing } from './stub.ts';

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

/** Slots for paths: how many, where, how large. Each begins with its struct stat. */
export const PATH_SLOTS = 8;
const SLOTS_AT = 256, SLOT_BYTES = 480;
/** Compared by eight bytes at a time, the last of them overlapping; NUL is one of them. */
const WORD = 8, COMPARE_BYTES = 29;
const PATH_MAX = Math.floor((SLOT_BYTES - STAT_BYTES - 12) / COMPARE_BYTES) * WORD - 1;
const text = Buffer.alloc(PATH_MAX + 1);
/** Where PATH_ANSWERS is entered when no slot has the path: its last two instructions. */
const MISS_AT = behind(PATH_ANSWERS, 'jmp *%r11');

/** Where a slot's code goes on when it is another path. */
function nextSlot(slot: number): number {
  return slot + 1 < PATH_SLOTS ? SLOTS_AT + (slot + 1) * SLOT_BYTES + STAT_BYTES : MISS_AT;
}

export class Answers {
  readonly #page: DataView;
  readonly #paths: DataView;
  readonly #stat: Uint8Array;
  #isOn = false;
  /** Whose file the page tells about: nobody else may read it. */
  #owner: object | null = null;

  constructor(area: Area) {
    this.#page = area.stubPage;
    this.#paths = area.pathsPage;
    this.#stat = new Uint8Array(this.#page.buffer, this.#page.byteOffset + L.ANSWERS_STAT_OFFSET, STAT_BYTES);
    this.#write(NO_FD, 0, false);
    for (let slot = 0; slot < PATH_SLOTS; slot++) this.#clearSlot(slot);
  }

  get owner(): object | null {
    return this.#owner;
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  /** From now on `owner` is told about this file, and its paths. */
  set(owner: object, facts: FileFacts | null): void {
    this.forget(owner);
    this.#owner = owner;
    if (facts) this.#stat.set(facts.stat);
    this.#write(facts?.fd ?? NO_FD, facts?.pos ?? 0, facts?.atEnd ?? false);
    this.#page.setUint16(L.USER_STUB_OFFSET, JUMP, true);
    this.#isOn = true;
  }

  /** `owner` is told about this path when its answers are on. Null: not any more. False: it is too long or too short. */
  setPath(owner: object, slot: number, path: string | null, stat: Uint8Array): boolean {
    this.forget(owner);
    this.#owner = owner;
    if (path === null) this.#clearSlot(slot);
    else if (path.length + 1 < WORD || path.length > PATH_MAX) return false;
    else this.#writeSlot(slot, path, stat);
    return true;
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
    for (let slot = 0; slot < PATH_SLOTS; slot++) this.#clearSlot(slot);
  }

  #clearSlot(slot: number): void {
    const at = SLOTS_AT + slot * SLOT_BYTES;
    new Uint8Array(this.#paths.buffer, this.#paths.byteOffset + at, SLOT_BYTES).fill(0xcc);
    this.#jump(at + STAT_BYTES, nextSlot(slot));
  }

  #writeSlot(slot: number, path: string, stat: Uint8Array): void {
    const page = this.#paths;
    const start = SLOTS_AT + slot * SLOT_BYTES;
    new Uint8Array(page.buffer, page.byteOffset + start, STAT_BYTES).set(stat);
    const length = text.write(`${path}\0`, 'latin1');
    let at = start + STAT_BYTES;
    for (let offset = length - WORD; ; offset = Math.ceil(offset / WORD) * WORD - WORD) {
      page.setUint32(at, 0x8e8b48, true); // mov offset(%rsi), %rcx
      page.setUint32(at + 3, offset, true);
      page.setUint16(at + 7, 0xb848, true); // mov $~word, %rax
      page.setInt32(at + 9, ~text.readInt32LE(offset), true);
      page.setInt32(at + 13, ~text.readInt32LE(offset + 4), true);
      page.setUint32(at + 17, 0x014c8d48, true); // lea 1(%rcx, %rax), %rcx
      page.setUint8(at + 21, 1);
      page.setUint16(at + 22, 0x05e3, true); // jrcxz over the jump
      this.#jump(at + 24, nextSlot(slot));
      at += COMPARE_BYTES;
      if (offset === 0) break;
    }
    page.setUint32(at, 0x0d8d48, true); // lea stat(%rip), %rcx
    page.setInt32(at + 3, start - (at + 7), true);
    this.#jump(at + 7, 0);
  }

  /** `jmp` to another place of the page of paths. */
  #jump(at: number, to: number): void {
    this.#paths.setUint8(at, 0xe9);
    this.#paths.setInt32(at + 1, to - (at + 5), true);
  }

  #write(fd: number, pos: number, atEnd: boolean): void {
    const page = this.#page;
    page.setInt32(L.ANSWERS_OFFSET + FD_AT, -fd, true);
    page.setInt32(L.ANSWERS_OFFSET + POS_AT, pos, true);
    page.setInt32(L.ANSWERS_OFFSET + NOT_AT_END_AT, atEnd ? 0 : 1, true);
  }
}
