// Fingerprint: what a template's or a saved sandbox's memory depends on besides its own bytes. Programs ask for CPU features
// once and keep the answer (glibc's ifuncs, OpenBLAS), and some hosts cannot hide features, so memory made on one CPU may
// only be resumed on an equal one.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Kvm } from './kvm.ts';
import * as L from './layout.ts';

/** CPUID leaves that say what code may run and how big its state is: features, extended features, XSAVE layout. */
const LEAVES: ReadonlySet<number> = new Set([0, 1, 7, 0xd, 0x8000_0001]);
/** CPUID 1: EBX holds the CPU's number; ECX bit 27 (OSXSAVE) follows CR4. */
const OSXSAVE = 1 << 27;
const CPU_LINES = /^(vendor_id|cpu family|model|stepping|flags)\s*:/;

/** A hex digest; equal digests mean that memory made by one process can be resumed by the other. */
export function fingerprint(kvm: Kvm): string {
  const hash = createHash('sha256');
  hash.update(`${kvm.kind} ${kvm.xcr0} ${kvm.xsaveBytes} ${L.VVAR_GPA} ${L.FIRST_FRAME}\n`);
  for (const leaf of kvm.leaves) {
    if (!LEAVES.has(leaf.function)) continue;
    const isFeatures = leaf.function === 1;
    const ebx = isFeatures ? 0 : leaf.ebx;
    const ecx = isFeatures ? leaf.ecx & ~OSXSAVE : leaf.ecx;
    hash.update(`${leaf.function} ${leaf.index} ${leaf.eax} ${ebx} ${ecx} ${leaf.edx}\n`);
  }
  hash.update(firstCpu()); // ring 3 on a PVM-style host sees the real CPU, not what KVM_SET_CPUID2 says
  return hash.digest('hex');
}

/** The lines of /proc/cpuinfo that name the first CPU and its features. */
function firstCpu(): string {
  try {
    const [first] = readFileSync('/proc/cpuinfo', 'utf8').split('\n\n');
    return first.split('\n').filter((line) => CPU_LINES.test(line)).join('\n');
  } catch {
    return '';
  }
}
