// The conformance cases among the smoke tests: small ones that show what differs between the kinds of KVM. Page tables that change and
// faults, registers across signals, hostile registers, segment bases, preemption, new programs.

export const SLICE = new RegExp(`^(${[
  'mm-(fork|jit|munmap)', 'many-mm:(mprotect|fixretry)', 'signal-(attack|fault)', 'many-signal:context', 'thread-(tls-static|preempt)',
  'process-exec-static',
].join('|')})$`);
