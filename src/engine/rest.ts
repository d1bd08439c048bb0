// Sandboxes that wait. A VM is needed only while something runs in it: one that rests is closed (KvmMachine.giveUpSlot) and made again,
// in half a millisecond, when its sandbox goes on. A bounded number of VMs of a worker is open, those that ran last: live VMs of one
// process slow each other, and what KVM holds for one is more than the sandbox itself.
//
// Interface: Slots, which a worker tells who runs and who rests; dropUnchanged.

import { AREA_BYTES } from '../vmm/layout.ts';
import type { Memory } from '../vmm/memory.ts';
import { addPage } from '../vmm/runs.ts';
import { PAGE_SIZE } from '../abi/x86/cpu.ts';
import { forEachPrivateRange } from '../host/pagemap.ts';
import type { RewindBase } from './rewind.ts';
import type { Runnable, RunObserver } from './scheduler.ts';

/** Something whose VM can be closed while it has nothing to run. */
export interface Resting extends Runnable {
  rest(): void;
}

/** A short pause is not worth it. */
const REST_MS = 1000;

export class Slots implements RunObserver<Resting> {
  private readonly openMax: number;
  private readonly restMs: number;
  private readonly running = new Set<Resting>();
  /** Open and with nothing to run, since when; in the order they stopped. */
  private readonly waiting = new Map<Resting, number>();
  private timer: NodeJS.Timeout | null = null;

  /** At most `openMax` VMs are open beside those that run; for `restMs` at most. */
  constructor(openMax: number, restMs = REST_MS) {
    this.openMax = openMax;
    this.restMs = restMs;
  }

  /** It runs, or is about to. */
  runs(guest: Resting): void {
    this.waiting.delete(guest);
    this.running.add(guest);
  }

  /** It has nothing to run now. */
  waits(guest: Resting): void {
    this.running.delete(guest);
    this.waiting.delete(guest);
    this.waiting.set(guest, performance.now());
    while (this.waiting.size > 0 && this.waiting.size + this.running.size > this.openMax) this.closeOldest();
    this.timer ??= this.waiting.size > 0 ? setTimeout(() => this.look(), this.restMs).unref() : null;
  }

  /** It is gone. */
  forget(guest: Resting): void {
    this.running.delete(guest);
    this.waiting.delete(guest);
  }

  private closeOldest(): void {
    const [guest] = this.waiting.keys();
    this.waiting.delete(guest);
    guest.rest();
  }

  private look(): void {
    const before = performance.now() - this.restMs;
    for (const [, since] of this.waiting) {
      if (since > before) break;
      this.closeOldest();
    }
    const [oldest] = this.waiting.values();
    this.timer = oldest === undefined ? null : setTimeout(() => this.look(), Math.max(1, oldest - before)).unref();
  }
}

/**
 * Gives back the pages of a machine, whose VM is closed, that are its own and hold what the template's file holds there. What was
 * rewritten to a layer for branches is left alone.
 */
export function dropUnchanged(memory: Memory, base: RewindBase): void {
  const { hva } = memory;
  const end = base.u8.length;
  if (memory.layers.isIn(AREA_BYTES, end)) return;
  const runs: number[] = [];
  forEachPrivateRange(base.arena, hva + AREA_BYTES, end - AREA_BYTES, (start, bytes) => {
    for (let at = start - hva; at < start - hva + bytes; at += PAGE_SIZE) {
      if (Buffer.compare(memory.u8.subarray(at, at + PAGE_SIZE), base.u8.subarray(at, at + PAGE_SIZE)) === 0) addPage(runs, at);
    }
  });
  memory.discardRuns(runs);
}
