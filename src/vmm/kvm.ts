// Kvm: /dev/kvm itself, and what is learned from it once per process: capabilities, CPUID, XCR0, the arena, the area.
//
// openKvm() throws HostError with ENOENT (no such device), EACCES (no permission) or EBUSY (another hypervisor has it).

import {
  KVM_API_VERSION, KVM_CAP_IMMEDIATE_EXIT, KVM_CAP_NR_MEMSLOTS, KVM_CAP_SYNC_REGS, KVM_CAP_XCRS, KVM_CAP_XSAVE2,
  KVM_SYNC_X86_EVENTS, KVM_SYNC_X86_REGS, KVM_SYNC_X86_SREGS,
} from '../abi/kvm/constants.ts';
import {
  KVM_CHECK_EXTENSION, KVM_CREATE_VM, KVM_GET_API_VERSION, KVM_GET_SUPPORTED_CPUID, KVM_GET_VCPU_MMAP_SIZE,
} from '../abi/kvm/ioctls.ts';
import { Cpuid2, CpuidEntry2, Xsave } from '../abi/kvm/structs.ts';
import { EINTR } from '../abi/linux/errno.ts';
import { O_CLOEXEC, O_RDWR } from '../abi/linux/host.ts';
import { buffer } from '../abi/struct.ts';
import { Arena } from '../host/arena.ts';
import * as libc from '../host/libc.ts';
import { Answers } from './answers.ts';
import { Area } from './area.ts';
import type { HostKind } from './area.ts';
import { Kicker } from './kick.ts';

/** This host's KVM lacks something we cannot do without; the message says what. */
export class KvmUnsupported extends Error {}

/** One CPUID leaf as KVM_GET_SUPPORTED_CPUID gives it. */
export interface CpuidLeaf {
  readonly function: number;
  readonly index: number;
  readonly eax: number;
  readonly ebx: number;
  readonly ecx: number;
  readonly edx: number;
}

const CPUID_ENTRIES_MAX = 256;
const CREATE_ATTEMPTS_MAX = 100;

/** The open /dev/kvm with everything that is the same for all VMs of this process. */
export class Kvm {
  readonly fd: number;
  readonly arena = new Arena();
  readonly kind: HostKind;
  readonly area: Area;
  /** Null on hardware: there the stub is entered at CPL 0, and a trap is cheap. */
  readonly answers: Answers | null;
  /** struct kvm_cpuid2 with its entries, as KVM_SET_CPUID2 takes it. */
  readonly cpuid: Uint8Array;
  readonly leaves: readonly CpuidLeaf[];
  /** Extended state components the host supports: XCR0 of every vCPU. */
  readonly xcr0: bigint;
  readonly vcpuMmapBytes: number;
  /** Bytes of an XSAVE area as KVM_GET_XSAVE2 gives it. */
  readonly xsaveBytes: number;
  readonly memslotsMax: number;
  #kicker: Kicker | null = null;

  constructor(fd: number, kind: HostKind) {
    this.fd = fd;
    this.kind = kind;
    const version = libc.ioctlInteger('KVM_GET_API_VERSION', fd, KVM_GET_API_VERSION, 0);
    if (version !== KVM_API_VERSION) throw new KvmUnsupported(`/dev/kvm speaks API version ${version}, not ${KVM_API_VERSION}`);
    const wanted = KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS | KVM_SYNC_X86_EVENTS;
    if ((this.extension(KVM_CAP_SYNC_REGS) & wanted) !== wanted) throw new KvmUnsupported('this KVM lacks KVM_CAP_SYNC_REGS');
    if (this.extension(KVM_CAP_XCRS) === 0) throw new KvmUnsupported('this KVM lacks KVM_CAP_XCRS');
    if (this.extension(KVM_CAP_IMMEDIATE_EXIT) === 0) throw new KvmUnsupported('this KVM lacks KVM_CAP_IMMEDIATE_EXIT');
    this.memslotsMax = Math.max(this.extension(KVM_CAP_NR_MEMSLOTS), 32);
    this.xsaveBytes = Math.max(this.extension(KVM_CAP_XSAVE2), Xsave.size);
    this.vcpuMmapBytes = libc.ioctlInteger('KVM_GET_VCPU_MMAP_SIZE', fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    const cpuid = this.#supportedCpuid();
    this.leaves = parseLeaves(cpuid);
    this.cpuid = kind === 'pvm' ? onlyLeaves(cpuid, PVM_LEAVES) : cpuid;
    const leaf = this.leaves.find((l) => l.function === 0xd && l.index === 0);
    this.xcr0 = leaf === undefined ? 3n : (BigInt(leaf.edx) << 32n) | BigInt(leaf.eax);
    this.area = new Area(this.arena, kind);
    this.answers = kind === 'pvm' ? new Answers(this.area) : null;
  }

  /** KVM_CHECK_EXTENSION. */
  extension(capability: number): number {
    return libc.ioctlInteger('KVM_CHECK_EXTENSION', this.fd, KVM_CHECK_EXTENSION, capability);
  }

  /** KVM_CREATE_VM: the descriptor of a new VM. A signal of the process (a profiler's, say) may interrupt it: EINTR is tried again. */
  createVm(): number {
    for (let attempt = 1; attempt < CREATE_ATTEMPTS_MAX; attempt++) {
      const fd = libc.ioctlTry(this.fd, KVM_CREATE_VM, 0);
      if (fd !== -EINTR) return fd >= 0 ? fd : libc.ioctlInteger('KVM_CREATE_VM', this.fd, KVM_CREATE_VM, 0);
    }
    return libc.ioctlInteger('KVM_CREATE_VM', this.fd, KVM_CREATE_VM, 0);
  }

  /** The preemption timer and signal of the calling thread; made on first use, so that only threads that run VMs have one. */
  get kicker(): Kicker {
    return (this.#kicker ??= new Kicker());
  }

  /** Closes /dev/kvm. Machines that exist go on. */
  close(): void {
    libc.close(this.fd);
  }

  #supportedCpuid(): Uint8Array {
    const table = buffer(Cpuid2.size + CPUID_ENTRIES_MAX * CpuidEntry2.size);
    Cpuid2.set.nent(table.view, 0, CPUID_ENTRIES_MAX);
    libc.ioctlPointer('KVM_GET_SUPPORTED_CPUID', this.fd, KVM_GET_SUPPORTED_CPUID, table.u8);
    return table.u8.slice(0, Cpuid2.size + Cpuid2.get.nent(table.view, 0) * CpuidEntry2.size);
  }
}

/**
 * On a PVM-style host ring 3 sees the real CPU whatever KVM_SET_CPUID2 says; KVM itself only looks at these, for what CR4, XCR0
 * and EFER may hold. Each leaf less saves time at every fork: all of them cost 75 µs, these 45.
 */
const PVM_LEAVES: ReadonlySet<string> = new Set(['0.0', '1.0', '7.0', '13.0', '2147483648.0', '2147483649.0', '2147483656.0']);

/** A struct kvm_cpuid2 with only the entries named `function.index`. */
function onlyLeaves(table: Uint8Array, wanted: ReadonlySet<string>): Uint8Array {
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const kept = buffer(table.length);
  let at = Cpuid2.size;
  for (let from = Cpuid2.size; from < table.length; from += CpuidEntry2.size) {
    if (!wanted.has(`${CpuidEntry2.get.function(view, from)}.${CpuidEntry2.get.index(view, from)}`)) continue;
    kept.u8.set(table.subarray(from, from + CpuidEntry2.size), at);
    at += CpuidEntry2.size;
  }
  Cpuid2.set.nent(kept.view, 0, (at - Cpuid2.size) / CpuidEntry2.size);
  return kept.u8.slice(0, at);
}

function parseLeaves(table: Uint8Array): CpuidLeaf[] {
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const leaves: CpuidLeaf[] = [];
  for (let at = Cpuid2.size; at < table.length; at += CpuidEntry2.size) leaves.push(CpuidEntry2.read(view, at));
  return leaves;
}

/** Opens /dev/kvm. `kind` is what the self-test found (selftest.ts). Throws HostError ENOENT, EACCES or EBUSY. */
export function openKvm(kind: HostKind = 'pvm', path = '/dev/kvm'): Kvm {
  return new Kvm(libc.open(path, O_RDWR | O_CLOEXEC), kind);
}
