// The time page: near the host's clock, never backwards across a renewal, also when the host's clock jitters or stops.

import test from 'node:test';
import assert from 'node:assert/strict';
import { hostClock } from '../../src/host/clock.ts';
import type { HostClock } from '../../src/platform.ts';
import { REG } from '../../src/platform.ts';
import { MODE_CALL, MODE_TSC, Vvar, VvarPage } from '../../src/vmm/vvar.ts';
import { CODE, Guest, assemble, kvm } from './guest.ts';

const SLOW = Number(process.env['OFFSHOOT_TEST_SLOW'] ?? 1);

/** The guest's CLOCK_MONOTONIC now, as its vDSO computes it: rdtsc in the guest, the arithmetic here. */
function guestClock(): { read: () => number; close: () => void } {
  const guest = Guest.make(kvm());
  const c = guest.load(assemble('rdtsc; shl $32,%rdx; or %rdx,%rax; syscall'));
  const read = (): number => {
    c.regs[REG.rip] = BigInt(CODE);
    assert.equal(guest.run(c).kind, 'syscall');
    const page = VvarPage.read(kvm().area.vvar, 0);
    assert.equal(page.seq % 2, 0);
    return Number(page.monotonicNsAtBase + (((c.regs[REG.rax] - page.tscBase) * BigInt(page.mult)) >> BigInt(page.shift)));
  };
  return { read, close: () => guest.machine.destroy() };
}

/** Runs for `ms`, renewing all the time with `clock`, and returns the biggest step back seen. */
function biggestStepBack(vvar: Vvar, clock: HostClock, ms: number): number {
  const guest = guestClock();
  const end = performance.now() + ms * SLOW;
  let last = 0;
  let worst = 0;
  while (performance.now() < end) {
    vvar.refresh(clock);
    const now = guest.read();
    worst = Math.max(worst, last - now);
    last = now;
  }
  guest.close();
  return worst;
}

test('time follows the host within what a reading costs', (t) => {
  const vvar = new Vvar(kvm());
  if (!vvar.isFast) return t.skip('the host\'s clock is not the TSC');
  const guest = guestClock();
  for (let i = 0; i < 20; i++) {
    vvar.refresh(hostClock);
    const before = hostClock.monotonicNs();
    const now = guest.read();
    const after = hostClock.monotonicNs();
    assert.ok(now > before - 50_000 * SLOW && now < after + 50_000 * SLOW, `${before} ${now} ${after}`);
  }
  const page = VvarPage.read(kvm().area.vvar, 0);
  assert.equal(page.mode, MODE_TSC);
  const realtime = page.realtimeNsAtBase - page.monotonicNsAtBase;
  const want = hostClock.realtimeNs() - BigInt(Math.round(hostClock.monotonicNs()));
  assert.ok(realtime - want < 200_000n * BigInt(SLOW) && want - realtime < 200_000n * BigInt(SLOW));
  guest.close();
});

test('time never goes backwards across renewals', (t) => {
  const vvar = new Vvar(kvm());
  if (!vvar.isFast) return t.skip('the host\'s clock is not the TSC');
  assert.ok(biggestStepBack(vvar, hostClock, 700) <= 0);
  // A clock that is read 0.3 ms early and late in turn, for longer than a line lasts, so that every other line lies behind the last.
  const jittery: HostClock = { ...hostClock, monotonicNs: () => {
    const ns = hostClock.monotonicNs();
    return ns + (Math.floor(ns / 70e6) % 2) * 300_000;
  } };
  assert.ok(biggestStepBack(new Vvar(kvm()), jittery, 700) <= 0);
});

/** The published distance from CLOCK_MONOTONIC to CLOCK_REALTIME. */
function toRealtime(): bigint {
  const page = VvarPage.read(kvm().area.vvar, 0);
  return page.realtimeNsAtBase - page.monotonicNsAtBase;
}

const soon = (): Promise<void> => new Promise((done) => setTimeout(done, 100)); // one sooner is skipped

test('a renewal takes the host\'s clock over when somebody has set it', async (t) => {
  const vvar = new Vvar(kvm());
  if (!vvar.isFast) return t.skip('the host\'s clock is not the TSC');
  const hourNs = 3_600_000_000_000n;
  vvar.refresh(hostClock);
  const before = toRealtime();
  await soon();
  vvar.refresh({ ...hostClock, realtimeNs: () => hostClock.realtimeNs() + hourNs });
  const moved = toRealtime() - before - hourNs;
  assert.ok(moved < 10_000_000n * BigInt(SLOW) && moved > -10_000_000n * BigInt(SLOW), String(moved));
});

test('a renewal that is held up between two readings does not take the clock for set', async (t) => {
  const vvar = new Vvar(kvm());
  if (!vvar.isFast) return t.skip('the host\'s clock is not the TSC');
  let heldUp = 0;
  const clock: HostClock = { ...hostClock, realtimeNs: () => {
    const ns = hostClock.realtimeNs();
    const end = performance.now() + 3;
    while (heldUp > 0 && performance.now() < end);
    heldUp--;
    return ns;
  } };
  vvar.refresh(clock);
  const before = toRealtime();
  for (const readings of [1, Infinity]) {
    await soon();
    heldUp = readings;
    vvar.refresh(clock);
    assert.equal(toRealtime(), before, `${readings} held up`);
  }
});

test('a host that stops trusting its TSC: guests ask the kernel from then on', async (t) => {
  let source = 'tsc';
  const vvar = new Vvar(kvm(), () => source);
  if (!vvar.isFast) return t.skip('the TSC offset cannot be set');
  const mode = (): number => VvarPage.get.mode(kvm().area.vvar, 0);
  vvar.refresh(hostClock);
  assert.equal(mode(), MODE_TSC);
  source = 'hpet';
  await new Promise((done) => setTimeout(done, 100));
  vvar.refresh(hostClock);
  assert.deepEqual([mode(), vvar.isFast, VvarPage.get.seq(kvm().area.vvar, 0) % 2], [MODE_CALL, false, 0]);
  new Vvar(kvm(), () => 'hpet').refresh(hostClock);
  assert.equal(mode(), MODE_CALL);
});

test('every renewal is a new generation', () => {
  const before = VvarPage.get.generation(kvm().area.vvar, 0);
  const vvar = new Vvar(kvm());
  vvar.refresh(hostClock);
  vvar.refresh(hostClock); // too soon: skipped
  assert.equal(VvarPage.get.generation(kvm().area.vvar, 0), before + (vvar.isFast ? 1 : 0));
});
