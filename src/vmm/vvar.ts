// Vvar: the time page every VM of this process sees at VVAR_GVA, read by the guest's vDSO without a trap.
//
// Layout (fixed; src/guest/vdso.c has the other side): 0 u32 seq, odd while it is written · 4 u32 mode, 0 call the kernel,
// 1 TSC · 8 u64 tscBase · 16 u32 mult · 20 u32 shift · 24 u64 monotonicNsAtBase · 32 u64 realtimeNsAtBase · 40 u32 generation.
// ns = atBase + ((tsc - tscBase) * mult >> shift), in 128 bits.
//
// The page is a straight line through the host's clock, renewed by `refresh` at least once a second. CLOCK_MONOTONIC never
// goes backwards across a renewal: when the old line is ahead, the new one starts where the old one is and runs slower.

import { openSync, readSync } from 'node:fs';
import { struct, u32, u64 } from '../abi/struct.ts';
import { MSR_IA32_TSC } from '../abi/x86/cpu.ts';
import type { HostClock } from '../platform.ts';
import type { Kvm } from './kvm.ts';
import { Vcpu } from './vcpu.ts';
import { Vm } from './vm.ts';

export const VvarPage = struct('vvar', 48, {
  seq: u32, mode: u32, tscBase: u64, mult: u32, shift: u32, monotonicNsAtBase: u64, realtimeNsAtBase: u64, generation: u32, _pad: u32,
});
export const MODE_CALL = 0;
export const MODE_TSC = 1;

const CLOCKSOURCE = '/sys/devices/system/clocksource/clocksource0/current_clocksource';
/** Renewals closer together than this are skipped. */
const INTERVAL_MIN_NS = 50e6;
/** The time in which a line that is ahead of the clock is brought back to it. */
const SLEW_NS = 1e9;
const SLEW_MAX = 0.05;
/** Measured rates are used once they span this much. */
const RATE_SPAN_NS = 5e8;
/** Each reading of two clocks is tried so often, and the tightest counts: this thread may be held up between the two. */
const TRIES = 4;

interface Sample {
  readonly tsc: bigint;
  readonly ns: number;
}

/** CLOCK_REALTIME minus CLOCK_MONOTONIC, known within `widthNs`. */
interface Distance {
  readonly ns: bigint;
  readonly widthNs: number;
}

/** The published line: nanoseconds at `tsc`, and per tick. */
interface Line {
  readonly tsc: bigint;
  readonly ns: number;
  readonly mult: number;
  readonly shift: number;
}

export class Vvar {
  readonly #page: DataView;
  readonly #seq: Int32Array;
  /** Never runs: only its TSC is read. */
  #vcpu: Vcpu | null;
  readonly #source: () => string;
  readonly #nominalRate: number;
  #first: Sample | null = null;
  #line: Line | null = null;
  #realtime: Distance | null = null;
  #refreshedNs = -Infinity;

  /** `source` names the host's clock source. */
  constructor(kvm: Kvm, source = clocksource) {
    this.#source = source;
    this.#page = kvm.area.vvar;
    this.#seq = new Int32Array(this.#page.buffer, this.#page.byteOffset, 2);
    this.#vcpu = source() === 'tsc' ? tscVcpu(kvm) : null;
    this.#nominalRate = this.#vcpu === null ? 0 : 1e6 / this.#vcpu.getTscKhz();
  }

  /** Whether the guest can tell time without a call. */
  get isFast(): boolean {
    return this.#vcpu !== null;
  }

  /** Draws the line again through `clock`. Costs about 50 µs; at most twenty times a second. */
  refresh(clock: HostClock): void {
    const vcpu = this.#vcpu;
    if (vcpu === null || clock.monotonicNs() - this.#refreshedNs < INTERVAL_MIN_NS) return;
    if (this.#source() !== 'tsc') return this.#giveUp(vcpu);
    const sample = readSample(vcpu, clock);
    this.#refreshedNs = sample.ns;
    this.#first ??= sample;
    const rate = this.#rate(sample);
    const old = this.#line === null ? sample.ns : valueAt(this.#line, sample.tsc);
    const ahead = Math.max(0, old - sample.ns);
    const slow = 1 - Math.min(ahead / SLEW_NS, SLEW_MAX);
    const line = makeLine(sample.tsc, Math.max(old, sample.ns), rate * slow);
    this.#line = line;
    this.#publish(line, BigInt(Math.round(line.ns)) + this.#toRealtime(clock));
  }

  /** The host has stopped trusting its TSC: from now on guests ask the kernel. */
  #giveUp(vcpu: Vcpu): void {
    this.#vcpu = null;
    vcpu.close();
    Atomics.add(this.#seq, 0, 1);
    VvarPage.set.mode(this.#page, 0, MODE_CALL);
    Atomics.add(this.#seq, 0, 1);
  }

  /** Nanoseconds per tick, from the first sample to this one once they are far enough apart. */
  #rate(sample: Sample): number {
    const first = this.#first ?? sample;
    const span = sample.ns - first.ns;
    if (span < RATE_SPAN_NS) return this.#nominalRate;
    const rate = span / Number(sample.tsc - first.tsc);
    if (span > 100 * RATE_SPAN_NS) this.#first = { ns: sample.ns - span / 2, tsc: sample.tsc - (sample.tsc - first.tsc) / 2n };
    return rate;
  }

  /** CLOCK_REALTIME minus CLOCK_MONOTONIC; the same value until a reading shows that somebody has set the clock. */
  #toRealtime(clock: HostClock): bigint {
    const known = this.#realtime;
    const found = readDistance(clock);
    const isSame = known !== null && Math.abs(Number(found.ns - known.ns)) <= known.widthNs + found.widthNs;
    return (isSame ? known : (this.#realtime = found)).ns;
  }

  #publish(line: Line, realtimeNs: bigint): void {
    const page = this.#page;
    Atomics.add(this.#seq, 0, 1);
    VvarPage.set.mode(page, 0, MODE_TSC);
    VvarPage.set.tscBase(page, 0, line.tsc);
    VvarPage.set.mult(page, 0, line.mult);
    VvarPage.set.shift(page, 0, line.shift);
    VvarPage.set.monotonicNsAtBase(page, 0, BigInt(Math.round(line.ns)));
    VvarPage.set.realtimeNsAtBase(page, 0, realtimeNs);
    VvarPage.set.generation(page, 0, VvarPage.get.generation(page, 0) + 1);
    Atomics.add(this.#seq, 0, 1);
  }
}

function makeLine(tsc: bigint, ns: number, rate: number): Line {
  let shift = 32;
  while (shift > 0 && rate * 2 ** shift >= 2 ** 32) shift--;
  return { tsc, ns: Math.ceil(ns), mult: Math.round(rate * 2 ** shift), shift };
}

/** What the guest computes, rounded up. */
function valueAt(line: Line, tsc: bigint): number {
  return line.ns + Number(((tsc - line.tsc) * BigInt(line.mult)) >> BigInt(line.shift)) + 1;
}

/** The TSC and the clock at nearly the same moment. */
function readSample(vcpu: Vcpu, clock: HostClock): Sample {
  const { value, middleNs } = readBetween(clock, () => vcpu.getMsr(MSR_IA32_TSC));
  return { tsc: value, ns: middleNs };
}

function readDistance(clock: HostClock): Distance {
  const { value, middleNs, widthNs } = readBetween(clock, () => clock.realtimeNs());
  return { ns: value - BigInt(Math.round(middleNs)), widthNs };
}

/** `read` between two readings of CLOCK_MONOTONIC: the tightest of a few tries. */
function readBetween(clock: HostClock, read: () => bigint): { readonly value: bigint; readonly middleNs: number; readonly widthNs: number } {
  let best = { value: 0n, middleNs: 0, widthNs: Infinity };
  for (let i = 0; i < TRIES; i++) {
    const before = clock.monotonicNs();
    const value = read();
    const after = clock.monotonicNs();
    if (after - before < best.widthNs) best = { value, middleNs: (before + after) / 2, widthNs: after - before };
  }
  return best;
}

/** A vCPU that never runs and whose TSC is the host's, or null when this KVM cannot give it that. */
export function tscVcpu(kvm: Kvm): Vcpu | null {
  const vm = new Vm(kvm);
  const vcpu = new Vcpu(vm);
  vm.close(); // the vCPU keeps it alive
  if (vcpu.setTscOffset(0n)) return vcpu;
  vcpu.close();
  return null;
}

/** Stays open: a confined process opens nothing later, and asks again and again. */
let clocksourceFd = -1;

/** The host's clock source (Documentation/ABI/testing/sysfs-devices-system-clocksource). */
export function clocksource(): string {
  try {
    if (clocksourceFd < 0) clocksourceFd = openSync(CLOCKSOURCE, 'r');
    const name = Buffer.alloc(64);
    return name.toString('latin1', 0, readSync(clocksourceFd, name, 0, name.length, 0)).trim();
  } catch {
    return 'unknown';
  }
}
