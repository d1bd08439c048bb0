// The memory of forks: a private view of a template's file for a new sandbox; for a branch of a running one the same, what it shares
// with it (vmm/layers.ts), and copies of the pages that are only its own.

import { forEachPrivateRange } from '../host/pagemap.ts';
import type { Arena } from '../host/arena.ts';
import type { Kvm } from '../vmm/kvm.ts';
import type { PageRuns } from '../vmm/layers.ts';
import { AREA_BYTES } from '../vmm/layout.ts';
import type { KvmMachine } from '../vmm/machine.ts';
import { createMachine } from '../vmm/machine.ts';
import type { LoadedTemplate } from './loaded.ts';

/**
 * A new VM whose memory is a copy-on-write view of the template; it may grow to `limitBytes`. `later`: there is no VM before something
 * runs, and no page is its own before that.
 */
export function viewOfTemplate(kvm: Kvm, template: LoadedTemplate, limitBytes: number, later = false): KvmMachine {
  const { fd, header, shared, views } = template;
  return createMachine(kvm, { fd, sizeBytes: header.memoryBytes, shared, views }, limitBytes, later);
}

/**
 * Makes what `source`, a descendant of the template, has in memory [0, usedBytes) ready to be shared. Nothing runs in it until its
 * branches are made (branchMachine). Throws HostError; then `source` is of no use any more.
 */
export function freezeMemory({ memory }: KvmMachine, arena: Arena, usedBytes: number): PageRuns {
  const changed: number[] = [];
  // The machine's own area is every VM's of this process.
  forEachPrivateRange(arena, memory.hva + AREA_BYTES, usedBytes - AREA_BYTES, (hva, sizeBytes) => {
    changed.push(hva - memory.hva, sizeBytes);
  });
  return memory.layers.freeze(changed, memory.sizeBytes);
}

/**
 * A new VM with the memory of `source`, which was frozen just now: `copied`. Page tables need no replay there: no processor has seen
 * them yet. Throws HostError.
 */
export function branchMachine(kvm: Kvm, template: LoadedTemplate, source: KvmMachine, copied: PageRuns): KvmMachine {
  const { fd, header, shared } = template;
  const branch = createMachine(kvm, { fd, sizeBytes: header.memoryBytes, shared }, source.memory.limitBytes);
  try {
    branch.memory.branchFrom(source.memory, copied);
    return branch;
  } catch (error) {
    branch.destroy();
    throw error;
  }
}
