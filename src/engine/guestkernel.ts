// Puts a kernel on a machine: freshly booted with a first program, or restored from a template's state.

import { ENOENT } from '../abi/linux/errno.ts';
import { VDSO_IMAGE, VDSO_MONOTONIC_OFFSET_AT, VDSO_VVAR_ADDRESS_AT } from '../guest/vdso.ts';
import type { BootOptions } from '../kernel/boot.ts';
import { bootKernel } from '../kernel/boot.ts';
import type { Kernel, VdsoSource } from '../kernel/kernel.ts';
import type { Limits } from '../kernel/limits.ts';
import { spawn } from '../kernel/process/spawn.ts';
import type { KernelState } from '../kernel/save.ts';
import { restoreKernel } from '../kernel/save.ts';
import { errnoName } from '../kernel/trace/errnotext.ts';
import type { Machine } from '../platform.ts';
import { VVAR_GVA } from '../vmm/layout.ts';
import { OffshootError } from './errors.ts';
import type { KvmHost, MappedImage } from './kvmhost.ts';
import { ENVIRONMENT } from './spec.ts';

/** Receives what the guest prints: 1 stdout, 2 stderr. Valid during the call only. */
export type Output = (stream: number, bytes: Uint8Array) => void;

/** The first program of a fresh kernel. */
export interface FirstProgram {
  readonly argv: readonly string[];
  readonly uid: number;
  readonly gid: number;
  readonly cwd: string;
  /** Whether descriptor 3 is the agent's control channel. */
  readonly control: boolean;
  /** Variables besides ENVIRONMENT. */
  readonly env?: Readonly<Record<string, string>>;
  readonly limits: Partial<Limits>;
}

const VDSO: VdsoSource = {
  image: VDSO_IMAGE, monotonicOffsetAt: VDSO_MONOTONIC_OFFSET_AT, vvarAddressAt: VDSO_VVAR_ADDRESS_AT, vvarGva: VVAR_GVA,
};

function bootOptions(host: KvmHost, image: MappedImage, machine: Machine, output: Output): BootOptions {
  return { machine, host: host.guestHost(image, output), index: image.index, cpu: host.cpu, vdso: VDSO };
}

/** A fresh kernel on `machine` with `program` ready to run. Throws OffshootError when it cannot be started. */
export function bootGuestKernel(host: KvmHost, imageId: string, machine: Machine, output: Output, program: FirstProgram): Kernel {
  const kernel = bootKernel({ ...bootOptions(host, host.image(imageId), machine, output), limits: program.limits });
  const { streams, control } = kernel;
  const files = [streams.openStdin(), streams.openOutput(1), streams.openOutput(2), ...(program.control ? [control.openFile()] : [])];
  const env = Object.entries({ ...ENVIRONMENT, ...program.env }).map(([name, value]) => byteString(`${name}=${value}`));
  const started = spawn(kernel, program.argv[0], program.argv.map(byteString), env, {
    uid: program.uid, gid: program.gid, cwd: program.cwd, files,
  });
  if (typeof started === 'number') {
    const why = started === -ENOENT ? 'the file, or the interpreter it names, is not there' : errnoName(-started);
    throw new OffshootError('image-failed', `${program.argv[0]} cannot be started in the image: ${why}.`);
  }
  return kernel;
}

/** A kernel's state: where it was made, and what the sandbox may use. */
export interface SavedKernel {
  readonly image: MappedImage;
  readonly state: KernelState;
  readonly limits: Partial<Limits>;
  /** Of a branch: that of the template. */
  readonly template?: KernelState;
}

/** The kernel of a fork: standing where the saved one stood. `machine` has its memory. */
export function restoreGuestKernel(host: KvmHost, { image, state, limits, template }: SavedKernel, machine: Machine, output: Output): Kernel {
  return restoreKernel(state, { ...bootOptions(host, image, machine, output), limits }, template);
}

/** The kernel's byte strings: one character per UTF-8 byte. */
export function byteString(text: string): string {
  return Buffer.from(text).toString('latin1');
}
