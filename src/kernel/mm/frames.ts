// Physical memory of one sandbox: reference-counted 4 KB frames above GuestMemory.firstFrame.
//
// Interface: alloc() gives a zeroed frame with one reference, ref()/unref() count owners (each page-table entry, each page
// cache slot is one), and the last unref frees. Frames above the high-water mark were never used: they are zero and cost
// the host nothing until somebody touches them, so alloc never does. Freed frames are zeroed when they are reused. Those that are freed
// but were not taken here (the template's, in a fork) are reused last: to write one means to copy it first.
// Page tables take frames by allocTableFrame() and keep them for ever (platform.ts, FrameSource).
// gpas outside [firstFrame, limit) belong to the machine (the vvar page): ref and unref ignore them. So they do the shared text of a
// template (sharedtext.ts): it is never written and never freed.

import type { FrameSource, GuestMemory } from '../../platform.ts';
import { bug } from '../bug.ts';
import { Counts } from './counts.ts';
import { PAGE_SIZE } from '../../abi/linux/mman.ts';

/** Saved state. Guest memory [0, highWater × 4096) holds the frames' contents; above it all is zero. */
export interface FramesState {
  /** First frame number that was never used. */
  readonly highWater: number;
  /** References by frame number, with the AHEAD bit; `highWater` long. */
  readonly refs: Uint32Array;
  /** Free frame numbers below the mark, the next to be used last. */
  readonly free: Uint32Array;
  /** So many at the start of `free` hold only zeros. */
  readonly zeroFree: number;
  /** Shared text: [first, end) frame numbers, below the mark. */
  readonly sharedFirst: number;
  readonly sharedEnd: number;
}

/** Bit of a count: the frame was mapped ahead of any access (`markAhead`). */
const AHEAD = 0x8000_0000;
/** Bit of a count: the frame was taken here, not restored. */
const OWN = 0x4000_0000;
const COUNT = 0x3fff_ffff;
const SHARED_ALIGN = 2 ** 21;
/** Zeroed frames of a template are made the sandbox's own by so many, once it has taken more than a small program does. */
const BATCH = 64;
const SMALL_PROGRAM_FRAMES = 256;

export class Frames implements FrameSource {
  readonly memory: GuestMemory;
  private readonly first: number;
  private highWater: number;
  private counts: Counts;
  private free: Uint32Array;
  /** `free` is a saved state's: copied before anything is entered. */
  private freeIsShared = false;
  private freeCount = 0;
  private zeroFree = 0;
  /** Free frame numbers that were in use when this was restored and never taken since. */
  private cold: number[] = [];
  /** How often a zeroed frame was taken from `free`. */
  private zeroTaken = 0;
  private sharedFirst = 0;
  private sharedEnd = 0;
  /** Called once when memory is exhausted, before an allocation fails: give back what can be made again (clean page cache). */
  reclaim: (() => void) | null = null;
  /** Set when an allocation failed: the sandbox has reached its memory limit. The run loop ends it with reason 'memory'. */
  exhausted = false;
  /** What the tables take that say which frame is which page of a file or of shared memory: bytes of our heap. */
  indexBytes = 0;

  constructor(memory: GuestMemory) {
    this.memory = memory;
    this.first = Math.ceil(memory.firstFrame / PAGE_SIZE);
    this.highWater = this.first;
    this.counts = new Counts();
    this.free = new Uint32Array(64);
  }

  /** Frames in use: pages, page cache and page tables. */
  get usedPages(): number {
    return this.highWater - this.first - this.freeCount - this.cold.length;
  }

  /** Frames there may ever be. */
  get limitPages(): number {
    return Math.max(0, Math.floor(this.memory.limitBytes / PAGE_SIZE) - this.first);
  }

  get freePages(): number {
    return this.limitPages - this.usedPages;
  }

  /** Bytes of guest memory, from gpa 0, that ever held anything. What lies above is zero. */
  get highWaterBytes(): number {
    return this.highWater * PAGE_SIZE;
  }

  /** The memory right below the shared text that no frame was taken from since that was set apart: it is zero. */
  get neverUsed(): { readonly start: number; readonly end: number } {
    let frame = this.sharedFirst;
    while (frame > 0 && this.sharedFirst - frame < this.zeroFree && this.free[this.sharedFirst - frame] === frame - 1) frame--;
    return { start: frame * PAGE_SIZE, end: this.sharedFirst * PAGE_SIZE };
  }

  /** A zeroed frame with one reference, or 0 when the memory limit is reached (then `exhausted` is set). */
  alloc(): number {
    const frame = this.take() || this.takeAfterReclaim();
    if (frame === 0) return 0;
    this.counts.set(frame, 1 | OWN);
    return frame * PAGE_SIZE;
  }

  /** A frame with the bytes of the one at `from` and one reference, or 0 as alloc. */
  allocCopy(from: number): number {
    const frame = this.take(false) || this.takeAfterReclaim();
    if (frame === 0) return 0;
    this.counts.set(frame, 1 | OWN);
    this.memory.u8.copyWithin(frame * PAGE_SIZE, from, from + PAGE_SIZE);
    return frame * PAGE_SIZE;
  }

  /** As alloc, for optional work such as fault-around: 0 without reclaiming and without `exhausted` when memory is short. */
  tryAlloc(): number {
    const frame = this.take();
    if (frame === 0) return 0;
    this.counts.set(frame, 1 | OWN);
    return frame * PAGE_SIZE;
  }

  allocTableFrame(): number {
    return this.alloc();
  }

  ref(gpa: number): void {
    if (!this.isCounted(gpa)) return;
    const frame = gpa / PAGE_SIZE;
    const count = this.counts.get(frame);
    if (!(count > 0)) bug(`frames: ref of free frame ${gpa}`);
    this.counts.set(frame, count + 1);
  }

  unref(gpa: number): void {
    if (!this.isCounted(gpa)) return;
    const frame = gpa / PAGE_SIZE;
    const count = this.counts.get(frame);
    if (!(count > 0)) bug(`frames: unref of free frame ${gpa}`);
    if (((count - 1) & COUNT) === 0) this.pushFree(frame);
    else this.counts.set(frame, count - 1);
  }

  /** References to a frame; Infinity for the machine's own pages and shared text, so that nobody takes them over. */
  refs(gpa: number): number {
    return !this.isCounted(gpa) ? Infinity : this.counts.get(gpa / PAGE_SIZE) & COUNT;
  }

  /** The frame's 4096 bytes. Valid until the next alloc (memory may grow and be viewed anew). */
  bytes(gpa: number): Uint8Array {
    return this.memory.u8.subarray(gpa, gpa + PAGE_SIZE);
  }

  /** Notes that a fresh zero frame was mapped only because its neighbour was wanted. */
  markAhead(gpa: number): void {
    const frame = gpa / PAGE_SIZE;
    this.counts.set(frame, this.counts.get(frame) | AHEAD);
  }

  /** Takes markAhead back: now it was asked for. */
  markWanted(gpa: number): void {
    const frame = gpa / PAGE_SIZE;
    if (this.isCounted(gpa)) this.counts.set(frame, this.counts.get(frame) & COUNT);
  }

  /** Whether a frame mapped ahead still holds only zeros: then most likely nobody wanted it yet. */
  isUntouched(gpa: number): boolean {
    return this.isCounted(gpa) && this.counts.get(gpa / PAGE_SIZE) >= AHEAD && this.bytes(gpa).every((byte) => byte === 0);
  }

  /** Whether gpa is not a frame of ours but a page of the machine. */
  isForeign(gpa: number): boolean {
    return gpa < this.first * PAGE_SIZE || gpa >= this.memory.limitBytes;
  }

  private isCounted(gpa: number): boolean {
    const frame = gpa / PAGE_SIZE;
    return !this.isForeign(gpa) && !(frame >= this.sharedFirst && frame < this.sharedEnd);
  }

  /**
   * Sets `sizeBytes` apart for shared text, aligned to its 2 MB pages and at least `gapBytes` above everything in use; the frames in
   * between are free from now on. The gpa, or 0 when memory is short.
   */
  setSharedApart(sizeBytes: number, gapBytes: number): number {
    const gpa = Math.ceil((this.highWaterBytes + gapBytes) / SHARED_ALIGN) * SHARED_ALIGN;
    if (gpa + sizeBytes > this.memory.limitBytes || !this.memory.grow(gpa + sizeBytes)) return 0;
    this.zeroFreeFrames();
    const between = gpa / PAGE_SIZE - this.highWater;
    const free = new Uint32Array(this.freeCount + between + 64);
    for (let i = 0; i < between; i++) free[i] = gpa / PAGE_SIZE - 1 - i;
    free.set(this.free.subarray(0, this.freeCount), between);
    this.free = free;
    this.freeIsShared = false;
    this.freeCount += between;
    this.zeroFree = this.freeCount;
    this.sharedFirst = gpa / PAGE_SIZE;
    this.sharedEnd = this.highWater = (gpa + sizeBytes) / PAGE_SIZE;
    return gpa;
  }

  /** Zeroes all free frames, so that a template keeps nothing of what was freed and its forks need not touch them. */
  zeroFreeFrames(): void {
    for (const frame of this.cold.splice(0)) this.enterFree(frame);
    for (let i = this.zeroFree; i < this.freeCount; i++) this.bytes(this.free[i] * PAGE_SIZE).fill(0);
    this.zeroFree = this.freeCount;
  }

  save(): FramesState {
    const refs = this.counts.save(this.highWater);
    for (let frame = 0; frame < refs.length; frame++) refs[frame] &= ~OWN;
    const free = new Uint32Array(this.freeCount + this.cold.length);
    free.set(this.free.subarray(0, this.freeCount));
    free.set(this.cold, this.freeCount);
    return {
      highWater: this.highWater, refs, free,
      zeroFree: this.zeroFree, sharedFirst: this.sharedFirst, sharedEnd: this.sharedEnd,
    };
  }

  static restore(state: FramesState, memory: GuestMemory): Frames {
    const frames = new Frames(memory);
    frames.highWater = state.highWater;
    frames.counts = new Counts(state.refs);
    frames.free = state.free;
    frames.freeIsShared = true;
    frames.freeCount = state.free.length;
    frames.zeroFree = state.zeroFree;
    frames.sharedFirst = state.sharedFirst;
    frames.sharedEnd = state.sharedEnd;
    return frames;
  }

  private takeAfterReclaim(): number {
    this.reclaim?.();
    const frame = this.take();
    if (frame === 0) this.exhausted = true;
    return frame;
  }

  /** A frame number, or 0. Reused frames first: they are likely to be the sandbox's own already. `zeroed`: what it held is gone. */
  private take(zeroed = true): number {
    if (this.freeCount === 0) return this.takeFresh() || this.takeCold(zeroed);
    const frame = this.free[--this.freeCount];
    if (this.freeCount < this.zeroFree) {
      this.zeroFree = this.freeCount;
      if (++this.zeroTaken > SMALL_PROGRAM_FRAMES && frame % BATCH === 0) this.prepareBatch(frame);
    } else if (zeroed) this.bytes(frame * PAGE_SIZE).fill(0);
    return frame;
  }

  /** `frame` was taken: so will those behind it, if they are next. */
  private prepareBatch(frame: number): void {
    for (let i = 1; i < BATCH; i++) if (this.free[this.freeCount - i] !== frame + i) return;
    this.memory.willWrite(frame * PAGE_SIZE, BATCH * PAGE_SIZE);
  }

  private takeCold(zeroed: boolean): number {
    const frame = this.cold.pop() ?? 0;
    if (zeroed && frame !== 0) this.bytes(frame * PAGE_SIZE).fill(0);
    return frame;
  }

  private takeFresh(): number {
    const frame = this.highWater;
    const end = (frame + 1) * PAGE_SIZE;
    if (end > this.memory.limitBytes) return 0;
    if (end > this.memory.sizeBytes && !this.memory.grow(end)) return 0;
    this.highWater++;
    return frame;
  }

  private pushFree(frame: number): void {
    const isOwn = (this.counts.get(frame) & OWN) !== 0;
    this.counts.set(frame, 0);
    if (isOwn) this.enterFree(frame);
    else this.cold.push(frame);
  }

  private enterFree(frame: number): void {
    if (this.freeIsShared || this.freeCount === this.free.length) {
      const larger = new Uint32Array(this.freeCount * 2 + 64);
      larger.set(this.free.subarray(0, this.freeCount));
      this.free = larger;
      this.freeIsShared = false;
    }
    this.free[this.freeCount++] = frame;
  }
}
