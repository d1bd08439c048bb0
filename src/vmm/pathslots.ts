// Path slots: the table in which ring 3 finds stats of paths (answers.ts; PATH_ANSWERS of answercode.ts looks them up). Each of 256 lists, by the low
// byte of a path's hash, goes through slots; where a list begins is in the page of paths. Offset 0 is no slot.
//
// A slot: struct stat; i64 what the call gives, 0 or an error; u32 complement of the hash; u32 the next slot; the path and its NUL, as complements, so
// that the code can compare by adding.

import * as L from './layout.ts';

const SLOT_BYTES = 256, LISTS = 256;
/** struct stat. */
export const STAT_BYTES = 144;
const RESULT = 144, HASH = 152, NEXT = 156, PATH = 160;
const PATH_BYTES_MAX = SLOT_BYTES - PATH;

export class PathSlots {
  static readonly COUNT = L.SLOTS_BYTES / SLOT_BYTES;
  readonly #index: Uint32Array;
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  /** List of each slot that is used, and that slot's successor; -1: none. */
  readonly #list = new Int16Array(PathSlots.COUNT).fill(-1);
  readonly #next = new Int16Array(PathSlots.COUNT).fill(-1);
  readonly #first = new Int16Array(LISTS).fill(-1);
  /** Slots above were never used. */
  #end = 0;

  constructor(page: DataView, slots: DataView) {
    this.#index = new Uint32Array(page.buffer, page.byteOffset + L.SLOT_INDEX_OFFSET, LISTS);
    this.#view = slots;
    this.#bytes = new Uint8Array(slots.buffer, slots.byteOffset, L.SLOTS_BYTES);
    this.#index.fill(0);
  }

  /** As PathAnswers.set of platform.ts. */
  set(slot: number, path: string | null, result: number, stat: Uint8Array | null): boolean {
    if (this.#list[slot] >= 0) this.#remove(slot);
    if (path === null) return true;
    if (path.length + 1 > PATH_BYTES_MAX) return false;
    const at = slot * SLOT_BYTES;
    if (stat) this.#bytes.set(stat, at);
    else this.#bytes.fill(0, at, at + STAT_BYTES);
    let hash = 0;
    for (let i = 0; i < path.length; i++) {
      const byte = path.charCodeAt(i);
      hash = (Math.imul(hash, 5) + byte) | 0;
      this.#bytes[at + PATH + i] = ~byte;
    }
    this.#bytes[at + PATH + path.length] = 0xff;
    this.#view.setInt32(at + RESULT, result, true);
    this.#view.setInt32(at + RESULT + 4, result >> 31, true);
    this.#view.setInt32(at + HASH, ~hash, true);
    this.#add(slot, hash & 0xff);
    return true;
  }

  clear(): void {
    if (this.#end === 0) return;
    this.#index.fill(0);
    this.#bytes.fill(0, 0, this.#end * SLOT_BYTES);
    this.#list.fill(-1);
    this.#first.fill(-1);
    this.#end = 0;
  }

  #add(slot: number, list: number): void {
    const next = this.#first[list];
    this.#list[slot] = list;
    this.#next[slot] = next;
    this.#view.setUint32(slot * SLOT_BYTES + NEXT, offsetOf(next), true);
    this.#first[list] = slot;
    this.#index[list] = offsetOf(slot);
    if (slot >= this.#end) this.#end = slot + 1;
  }

  #remove(slot: number): void {
    const list = this.#list[slot];
    const next = this.#next[slot];
    let before = this.#first[list];
    if (before === slot) {
      this.#first[list] = next;
      this.#index[list] = offsetOf(next);
    } else {
      while (this.#next[before] !== slot) before = this.#next[before];
      this.#next[before] = next;
      this.#view.setUint32(before * SLOT_BYTES + NEXT, offsetOf(next), true);
    }
    this.#list[slot] = -1;
  }
}

/** What the code adds to where slot -1 would be. */
function offsetOf(slot: number): number {
  return (slot + 1) * SLOT_BYTES;
}
