// What uname(2) and /proc say about the kernel.

export const KERNEL_NAME = 'Linux';
/** Programs compare it: glibc wants at least 3.2. The suffix says whose kernel it is. */
export const KERNEL_RELEASE = '6.1.0-offshoot';
export const KERNEL_VERSION = '#1 SMP PREEMPT_DYNAMIC Offshoot';
export const KERNEL_MACHINE = 'x86_64';
