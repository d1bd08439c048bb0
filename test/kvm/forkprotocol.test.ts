// The fork protocol with C programs (gcc on the test's host): a template stops inside fork(2), is saved, and each machine
// restored from it goes on as the child. What Linux and libc do after a fork must have happened.

import assert from 'node:assert/strict';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { deserialize, serialize } from 'node:v8';
import type { Image } from '../../src/image/store.ts';
import type { RunState } from '../../src/kernel/run.ts';
import { completeForkChild, prepareForkChild } from '../../src/kernel/process/snapshot.ts';
import { restoreKernel, saveKernel, type KernelState } from '../../src/kernel/save.ts';
import { cpuInfo } from '../../src/vmm/cpuinfo.ts';
import { createMachine } from '../../src/vmm/machine.ts';
import { kvm } from './guest.ts';
import { VDSO, bootImage, hostFor, runToEnd, staticImage, type Booted } from './harness.ts';

const dir = mkdtempSync(join(tmpdir(), 'offshoot-fork-'));
after(() => rmSync(dir, { recursive: true }));

const FORKS = `
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>
static int before, parent, child;
static void on_before(void) { before++; }
static void on_parent(void) { parent++; }
static void on_child(void) { child++; }
int main(void) {
  char *wiped = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  char *kept = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(wiped, 7, 8192);
  memset(kept, 7, 8192);
  if (madvise(wiped, 4096, MADV_WIPEONFORK)) return 10;
  pthread_atfork(on_before, on_parent, on_child);
  int old = getpid();
  write(3, "ready", 5);
  int pid = fork();
  if (pid != 0) { printf("parent\\n"); return 11; }
  char message[64] = {0};
  int got = read(3, message, sizeof message);
  unsigned long random = 0;
  getrandom(&random, sizeof random, 0);
  printf("atfork %d %d %d\\n", before, parent, child);
  printf("wiped %d %d kept %d\\n", wiped[0] | wiped[4095], wiped[4096], kept[0]);
  printf("pid %s tid %s ppid %d\\n", getpid() != old ? "new" : "old", syscall(SYS_gettid) == getpid() ? "same" : "other", getppid());
  printf("message %d %s\\n", got, message);
  printf("unique %d %lu\\n", getpid(), random);
  return 5;
}`;

const CLOCKS = `
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
static double vdso(int clock) { struct timespec t; clock_gettime(clock, &t); return t.tv_sec + t.tv_nsec / 1e9; }
static double call(int clock) { struct timespec t; syscall(SYS_clock_gettime, clock, &t); return t.tv_sec + t.tv_nsec / 1e9; }
int main(void) {
  double before = call(CLOCK_MONOTONIC);
  write(3, "ready", 5);
  if (fork() != 0) return 11;
  char message[64];
  read(3, message, sizeof message);
  double since = call(CLOCK_MONOTONIC) - before;
  struct stat file;
  close(open("/made", O_CREAT | O_WRONLY, 0600));
  stat("/made", &file);
  double start = vdso(CLOCK_MONOTONIC);
  struct timespec nap = {0, 30000000}, until;
  nanosleep(&nap, 0);
  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += 1;
  clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, 0);
  double slept = vdso(CLOCK_MONOTONIC) - start;
  printf("%.3f %.3f %.3f %.3f %.3f %.3f\\n", since, vdso(CLOCK_REALTIME), call(CLOCK_REALTIME), (double)file.st_mtime, slept,
    vdso(CLOCK_MONOTONIC) - call(CLOCK_MONOTONIC));
  return 5;
}`;

const THREAD = `
#define _GNU_SOURCE
#include <pthread.h>
#include <unistd.h>
static void *body(void *arg) { pthread_setname_np(pthread_self(), "poller"); write(1, "x", 1); for (;;) pause(); }
int main(void) {
  pthread_t thread;
  pthread_create(&thread, 0, body, 0);
  usleep(50000);
  write(3, "ready", 5);
  return fork() == 0 ? 0 : 1;
}`;

const PROCESS = `
#include <sys/prctl.h>
#include <unistd.h>
int main(void) {
  if (fork() == 0) { prctl(PR_SET_NAME, "daemon"); for (;;) pause(); }
  usleep(50000);
  write(3, "ready", 5);
  return fork() == 0 ? 0 : 1;
}`;

let image: Promise<Image> | null = null;

/** Boots a program whose descriptor 3 is the control channel; its first message arms the snapshot. */
async function boot(name: string): Promise<Booted> {
  const booted = bootImage(await (image ??= staticImage({ forks: FORKS, clocks: CLOCKS, thread: THREAD, process: PROCESS })));
  const { kernel } = booted;
  const { streams, control } = kernel;
  control.onMessage(() => {
    kernel.snapshotArmed = true;
  });
  const files = [streams.openStdin(), streams.openOutput(1), streams.openOutput(2), control.openFile()];
  const started = kernel.spawn(`/bin/${name}`, [name], [], { files });
  assert.notEqual(typeof started, 'number');
  return booted;
}

function toSnapshot({ kernel }: Booted): RunState {
  const endMs = performance.now() + 20_000;
  for (;;) {
    const state = kernel.runSlice(10_000_000);
    if (state.kind !== 'slice' && !(state.kind === 'blocked' && state.wakeAtNs !== Infinity)) return state;
    assert.ok(performance.now() < endMs, 'no snapshot point');
  }
}

/** A machine of its own over the saved memory, run to its end: what it printed, its exit code. */
function runFork(source: Image, state: KernelState, file: string, sizeBytes: number, message: string): string {
  const fd = openSync(file, 'r');
  const machine = createMachine(kvm(), { fd, sizeBytes }, 64 << 20);
  let printed = '';
  try {
    const host = hostFor(source, (_stream, bytes) => {
      printed += Buffer.from(bytes).toString();
    });
    const kernel = restoreKernel(state, { machine, host, index: source.index, cpu: cpuInfo(kvm()), vdso: VDSO });
    completeForkChild(kernel);
    kernel.control.send(Buffer.from(message), true);
    assert.deepEqual(runToEnd(kernel), { kind: 'exit', code: 5 });
    return printed;
  } finally {
    machine.destroy();
    closeSync(fd);
  }
}

/** What a template file would have of a program that stands at its snapshot point. */
async function saved(name: string): Promise<{ readonly state: KernelState; readonly file: string; readonly sizeBytes: number; readonly source: Image }> {
  const booted = await boot(name);
  const { kernel } = booted;
  assert.equal(toSnapshot(booted).kind, 'snapshot');
  prepareForkChild(kernel);
  const state = deserialize(serialize(saveKernel(kernel))) as KernelState;
  const file = join(dir, name);
  const sizeBytes = Math.ceil(kernel.frames.highWaterBytes / (1 << 20)) * (1 << 20);
  writeFileSync(file, kernel.machine.memory.u8.subarray(0, sizeBytes));
  booted.destroy();
  return { state, file, sizeBytes, source: await (image as Promise<Image>) };
}

test('each fork is the child of fork(2): handlers ran, memory is wiped, the pid is new', async () => {
  const { state, file, sizeBytes, source } = await saved('forks');
  const outputs = Array.from({ length: 3 }, (_, i) => runFork(source, state, file, sizeBytes, `hello ${i}`));
  for (const [i, output] of outputs.entries()) {
    assert.equal(output.slice(0, output.indexOf('unique')), [
      'atfork 1 0 1', 'wiped 0 7 kept 7', 'pid new tid same ppid 1', `message 7 hello ${i}`, '',
    ].join('\n'));
  }
  assert.equal(new Set(outputs.map((output) => output.split(' ').at(-1))).size, 3, 'getrandom repeats itself');
});

const DAY_SECONDS = 86_400;
for (const [when, shift, passed] of [
  ['now', 0, 0], ['a day ago', DAY_SECONDS, DAY_SECONDS], ['by a host that had been up a day longer', -DAY_SECONDS, 0],
] as const) {
  test(`the clocks of a template that was saved ${when}`, async () => {
    const { state, file, sizeBytes, source } = await saved('clocks');
    const { clock } = state;
    const then = { ...state, clock: { ...clock, offsetNs: clock.offsetNs + shift * 1e9 } }; // the host's clock showed so much less
    const [since, realtime, realtimeOfCall, mtime, slept, apart] = runFork(source, then, file, sizeBytes, '').trim().split(' ').map(Number);
    assert.ok(since >= passed && since < passed + 60, `${since} s have passed`);
    for (const seconds of [realtime, realtimeOfCall, mtime]) assert.ok(Math.abs(seconds - Date.now() / 1000) < 30, `it is ${seconds}`);
    assert.ok(slept >= 1.03 && slept < 30, `it slept ${slept} s`);
    assert.ok(Math.abs(apart) < 0.5, `vDSO and call are ${apart} s apart`);
  });
}

test('a setup that left a thread running fails by its name', async () => {
  const booted = await boot('thread');
  const state = toSnapshot(booted);
  booted.destroy();
  assert.match(state.kind === 'failed' ? state.reason : state.kind, /^the setup left threads running: poller \(\d+\)$/);
});

test('a setup that left a process running fails by its name', async () => {
  const booted = await boot('process');
  const state = toSnapshot(booted);
  booted.destroy();
  assert.match(state.kind === 'failed' ? state.reason : state.kind, /^the setup left processes running: daemon \(\d+\)$/);
});
