// futex(2): waiting on a word of memory. Mechanism only; the argument layer is syscalls/futex.ts.

import type { Kernel } from '../kernel.ts';

export class Futexes {
  readonly kernel: Kernel;

  constructor(kernel: Kernel) {
    this.kernel = kernel;
  }
}
