// What programs are told about the processor besides CPUID: the numbers behind AT_HWCAP, AT_HWCAP2 the size of the XSAVE
// area in a signal frame and the flags of /proc/cpuinfo (Intel SDM vol. 1, 13.2; CPUID leaves 1, 7 and 0xd).

import { readFileSync } from 'node:fs';
import { FEATURE_STATES, FEATURE_WORDS } from '../abi/x86/cpufeatures.ts';
import type { Kvm } from './kvm.ts';

const LEGACY_AND_HEADER_BYTES = 576;
const HWCAP2_FSGSBASE = 2;

/** Shape of kernel/kernel.ts's CpuInfo. */
export function cpuInfo(kvm: Kvm): { hwcap: number; hwcap2: number; xsaveBytes: number; xfeatures: bigint; flags: string[] } {
  const leaf = (number: number, index = 0) => kvm.leaves.find((each) => each.function === number && each.index === index);
  let xsaveBytes = LEGACY_AND_HEADER_BYTES;
  for (let bit = 2; bit < 63; bit++) {
    const component = leaf(0xd, bit);
    // Only what XCR0 enables; ECX bit 0 marks supervisor components, which ring 3 never sees.
    if ((kvm.xcr0 >> BigInt(bit) & 1n) === 0n || !component || (component.ecx & 1) !== 0) continue;
    xsaveBytes = Math.max(xsaveBytes, component.ebx + component.eax);
  }
  const hasFsgsbase = ((leaf(7)?.ebx ?? 0) & 1) !== 0;
  return { hwcap: (leaf(1)?.edx ?? 0) >>> 0, hwcap2: hasFsgsbase ? HWCAP2_FSGSBASE : 0, xsaveBytes, xfeatures: kvm.xcr0, flags: featureNames(kvm) };
}

/**
 * What programs find in CPUID, by Linux's names. On a PVM-style host the instruction is not intercepted in ring 3: it shows the host's
 * processor whatever KVM was told, so the names are the host's.
 */
function featureNames(kvm: Kvm): string[] {
  const names = kvm.kind === 'pvm' ? hostNames() : leafNames(kvm);
  return names.filter((name) => FEATURE_STATES.every(([prefix, bits]) => !prefix.test(name) || (kvm.xcr0 & bits) === bits));
}

function leafNames(kvm: Kvm): string[] {
  return FEATURE_WORDS.flatMap(({ leaf, index, register, names }) => {
    const word = kvm.leaves.find((each) => each.function === leaf && each.index === index)?.[register] ?? 0;
    return Object.entries(names).filter(([bit]) => (word >>> Number(bit) & 1) === 1).map(([, name]) => name);
  });
}

function hostNames(): string[] {
  const known = new Set(FEATURE_WORDS.flatMap(({ names }) => Object.values(names)));
  const flags = /^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'latin1'))?.[1] ?? '';
  return flags.trim().split(' ').filter((name) => known.has(name));
}
