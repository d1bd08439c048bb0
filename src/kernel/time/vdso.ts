// The sandbox's own copy of the vDSO: frames that every process maps as [vdso]. What differs between sandboxes is one word,
// the offset of CLOCK_MONOTONIC, rewritten when a sandbox is restored under another clock.

import type { VdsoSource } from '../kernel.ts';
import type { Frames } from '../mm/frames.ts';

const PAGE_SIZE = 4096;

export interface VdsoState {
  readonly frames: readonly number[];
  readonly offsetNs: number;
  readonly monotonicOffsetAt: number;
}

export class Vdso {
  /** gpas of its pages; the kernel holds one reference to each. */
  readonly frames: readonly number[];
  private offsetNs: number;
  private readonly monotonicOffsetAt: number;
  private readonly memory: Frames;

  private constructor(memory: Frames, frames: readonly number[], offsetNs: number, monotonicOffsetAt: number) {
    this.memory = memory;
    this.frames = frames;
    this.offsetNs = offsetNs;
    this.monotonicOffsetAt = monotonicOffsetAt;
  }

  /** Copies the image into new frames. Null: no memory. */
  static create(source: VdsoSource, memory: Frames, offsetNs: number): Vdso | null {
    const image = source.image.slice();
    new DataView(image.buffer).setBigUint64(source.vvarAddressAt, BigInt(source.vvarGva), true);
    const frames: number[] = [];
    for (let at = 0; at < image.length; at += PAGE_SIZE) {
      const gpa = memory.alloc();
      if (gpa === 0) return null;
      memory.bytes(gpa).set(image.subarray(at, at + PAGE_SIZE));
      frames.push(gpa);
    }
    const vdso = new Vdso(memory, frames, 0, source.monotonicOffsetAt);
    vdso.setOffset(offsetNs);
    return vdso;
  }

  /** Sets what the time page's CLOCK_MONOTONIC is moved by. Costs nothing when it is what it was. */
  setOffset(offsetNs: number): void {
    if (offsetNs === this.offsetNs) return;
    this.offsetNs = offsetNs;
    const page = this.memory.bytes(this.frames[Math.floor(this.monotonicOffsetAt / PAGE_SIZE)]);
    new DataView(page.buffer, page.byteOffset).setBigInt64(this.monotonicOffsetAt % PAGE_SIZE, BigInt(offsetNs), true);
  }

  save(): VdsoState {
    return { frames: this.frames, offsetNs: this.offsetNs, monotonicOffsetAt: this.monotonicOffsetAt };
  }

  static restore(state: VdsoState, memory: Frames): Vdso {
    return new Vdso(memory, state.frames, state.offsetNs, state.monotonicOffsetAt);
  }
}
