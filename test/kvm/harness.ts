// Runs programs in a kernel on real KVM without the engine: one machine, one kernel, one image, to the end.
//
// Interface: staticImage (an image of compiled C sources), bootImage, runToEnd. Compiling needs gcc on the test's host.

import { execFileSync } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { VDSO_IMAGE, VDSO_MONOTONIC_OFFSET_AT, VDSO_VVAR_ADDRESS_AT } from '../../src/guest/vdso.ts';
import { hostClock } from '../../src/host/clock.ts';
import { mapFile } from '../../src/host/mapfile.ts';
import { packDirectory } from '../../src/image/images.ts';
import type { Image } from '../../src/image/store.ts';
import { bootKernel } from '../../src/kernel/boot.ts';
import type { EndReason } from '../../src/kernel/end.ts';
import type { Kernel, KernelOptions } from '../../src/kernel/kernel.ts';
import type { SpawnOptions } from '../../src/kernel/process/spawn.ts';
import type { Host } from '../../src/platform.ts';
import { cpuInfo } from '../../src/vmm/cpuinfo.ts';
import { VVAR_GVA } from '../../src/vmm/layout.ts';
import { createMachine } from '../../src/vmm/machine.ts';
import { Vvar } from '../../src/vmm/vvar.ts';
import { kvm } from './guest.ts';

export interface Booted {
  readonly kernel: Kernel;
  /** Everything printed so far, stdout and stderr apart. */
  readonly out: { stdout: string; stderr: string };
  destroy(): void;
}

export interface BootInit extends Partial<KernelOptions> {
  readonly memoryBytes?: number;
}

/** Compiles sources (name → C code) into /bin/NAME of a new image. */
export async function staticImage(sources: Readonly<Record<string, string>>, flags: readonly string[] = ['-static']): Promise<Image> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'offshoot-image-'));
  try {
    fs.mkdirSync(path.join(dir, 'root/bin'), { recursive: true });
    for (const name of ['tmp', 'dev', 'proc', 'sys', 'home']) fs.mkdirSync(path.join(dir, 'root', name));
    for (const [name, code] of Object.entries(sources)) {
      fs.writeFileSync(path.join(dir, `${name}.c`), code);
      execFileSync('gcc', ['-O1', '-w', ...flags, '-o', path.join(dir, 'root/bin', name), path.join(dir, `${name}.c`), '-lpthread', '-lm']);
    }
    return await packDirectory(path.join(dir, 'root'), { home: path.join(dir, 'home') });
  } finally {
    process.on('exit', () => fs.rmSync(dir, { recursive: true, force: true }));
  }
}

let vvar: Vvar | null = null;

export function hostFor(image: Image, output: (stream: number, bytes: Uint8Array) => void): Host {
  const fd = fs.openSync(image.blobPath, 'r');
  const blob = mapFile(kvm().arena, fd, image.index.blobSizeBytes);
  fs.closeSync(fd);
  return {
    clock: hostClock,
    random: (bytes) => void randomFillSync(bytes),
    blob: (offset, length) => blob.bytes.subarray(offset, offset + length),
    output,
  };
}

export const VDSO = {
  image: VDSO_IMAGE, monotonicOffsetAt: VDSO_MONOTONIC_OFFSET_AT, vvarAddressAt: VDSO_VVAR_ADDRESS_AT, vvarGva: VVAR_GVA,
};

/** A kernel over the image in a new VM. */
export function bootImage(image: Image, init: BootInit = {}): Booted {
  vvar ??= new Vvar(kvm());
  vvar.refresh(hostClock);
  const machine = createMachine(kvm(), { fd: null }, init.memoryBytes ?? 512 << 20);
  const out = { stdout: '', stderr: '' };
  const host = hostFor(image, (stream, bytes) => {
    const text = Buffer.from(bytes).toString('latin1');
    if (stream === 1) out.stdout += text;
    else out.stderr += text;
  });
  const kernel = bootKernel({ machine, host, index: image.index, cpu: cpuInfo(kvm()), vdso: VDSO, ...init });
  return { kernel, out, destroy: () => machine.destroy() };
}

/** Runs a booted kernel until it ends, or throws after `timeoutMs`. */
export function runToEnd(kernel: Kernel, timeoutMs = 20_000): EndReason {
  const endMs = performance.now() + timeoutMs;
  for (;;) {
    vvar?.refresh(hostClock);
    const state = kernel.runSlice(100_000_000);
    if (state.kind === 'exited') return state.reason;
    if (state.kind === 'blocked') {
      if (state.wakeAtNs === Infinity) throw new Error('everything is blocked for ever');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Math.max(0, (state.wakeAtNs - kernel.clock.monotonicNs()) / 1e6));
    } else if (state.kind !== 'slice') throw new Error(JSON.stringify(state.kind === 'failed' ? state.reason : state.kind));
    if (performance.now() > endMs) throw new Error(`still running after ${timeoutMs} ms`);
  }
}

/** Boots, runs one program, gives everything back. */
export function runProgram(
  image: Image, argv: readonly string[], init: BootInit & SpawnOptions & { env?: readonly string[]; trace?: (text: string) => void; timeoutMs?: number } = {},
): { end: EndReason; stdout: string; stderr: string; unimplemented: string[] } {
  const booted = bootImage(image, init);
  try {
    booted.kernel.streams.stdin.close();
    if (init.trace) booted.kernel.traceTo(init.trace);
    const env = init.env ?? ['PATH=/usr/local/bin:/usr/bin:/bin', 'HOME=/home/user', 'LANG=C.UTF-8'];
    const started = booted.kernel.spawn(argv[0], argv, env, init);
    if (typeof started === 'number') throw new Error(`spawn ${argv[0]}: ${started}`);
    const end = runToEnd(booted.kernel, init.timeoutMs);
    return { end, ...booted.out, unimplemented: [...booted.kernel.unimplemented].map(([name, count]) => `${name} ×${count}`) };
  } finally {
    booted.destroy();
  }
}
