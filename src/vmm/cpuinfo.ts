// What programs are told about the processor besides CPUID: the numbers behind AT_HWCAP, AT_HWCAP2 and the size of the XSAVE
// area in a signal frame (Intel SDM vol. 1, 13.2; CPUID leaves 1, 7 and 0xd).

import type { Kvm } from './kvm.ts';

const LEGACY_AND_HEADER_BYTES = 576;
const HWCAP2_FSGSBASE = 2;

/** Shape of kernel/kernel.ts's CpuInfo. */
export function cpuInfo(kvm: Kvm): { hwcap: number; hwcap2: number; xsaveBytes: number; xfeatures: bigint } {
  const leaf = (number: number, index = 0) => kvm.leaves.find((each) => each.function === number && each.index === index);
  let xsaveBytes = LEGACY_AND_HEADER_BYTES;
  for (let bit = 2; bit < 63; bit++) {
    const component = leaf(0xd, bit);
    // Only what XCR0 enables; ECX bit 0 marks supervisor components, which ring 3 never sees.
    if ((kvm.xcr0 >> BigInt(bit) & 1n) === 0n || !component || (component.ecx & 1) !== 0) continue;
    xsaveBytes = Math.max(xsaveBytes, component.ebx + component.eax);
  }
  const hasFsgsbase = ((leaf(7)?.ebx ?? 0) & 1) !== 0;
  return { hwcap: (leaf(1)?.edx ?? 0) >>> 0, hwcap2: hasFsgsbase ? HWCAP2_FSGSBASE : 0, xsaveBytes, xfeatures: kvm.xcr0 };
}
