// The memory of forks: a private view of a template's file for a new sandbox; the same and a copy of everything changed since
// for a branch of a running one.

import { forEachPrivateRange } from '../host/pagemap.ts';
import type { Kvm } from '../vmm/kvm.ts';
import { AREA_BYTES } from '../vmm/layout.ts';
import type { KvmMachine } from '../vmm/machine.ts';
import { createMachine } from '../vmm/machine.ts';
import { OffshootError } from './errors.ts';
import type { LoadedTemplate } from './loaded.ts';

/** A new VM whose memory is a copy-on-write view of the template; it may grow to `limitBytes`. */
export function viewOfTemplate(kvm: Kvm, template: LoadedTemplate, limitBytes: number): KvmMachine {
  return createMachine(kvm, { fd: template.fd, sizeBytes: template.header.memoryBytes, shared: template.shared }, limitBytes);
}

/**
 * A new VM with the memory that `source`, a descendant of the template, has now: [0, usedBytes). Nothing runs in `source`
 * meanwhile. Page tables need no replay there: no processor has seen them yet. Throws OffshootError when the host has no memory.
 */
export function copyMachine(kvm: Kvm, template: LoadedTemplate, source: KvmMachine, usedBytes: number): KvmMachine {
  const copy = viewOfTemplate(kvm, template, source.memory.limitBytes);
  try {
    if (!copy.memory.grow(usedBytes)) throw new OffshootError('internal', `The host has no memory for a branch of ${usedBytes} bytes.`);
    const { hva } = source.memory;
    const to = copy.memory.u8, from = source.memory.u8;
    // The machine's own area is every VM's of this process.
    forEachPrivateRange(kvm.arena, hva + AREA_BYTES, usedBytes - AREA_BYTES, (start, length) => {
      to.set(from.subarray(start - hva, start - hva + length), start - hva);
    });
    return copy;
  } catch (error) {
    copy.destroy();
    throw error;
  }
}
