// How many page faults this thread has taken: getrusage(2). A page of a private mapping that becomes the process's own does so in a page
// fault, whoever's access it is: a program's, the kernel's on its behalf (read(2), KVM_RUN, madvise(2)).

import { RUSAGE_THREAD } from '../abi/linux/host.ts';
import { getrusage } from './libc.ts';

/** struct rusage, 144 bytes: ru_minflt and ru_majflt are its 9th and 10th words of 8 bytes. */
const usage = new Uint8Array(144);
const words = new Uint32Array(usage.buffer);
const MINFLT = 16, MAJFLT = 18;

/** Minor and major page faults of the calling thread so far, modulo 2^32. */
export function threadFaults(): number {
  getrusage(RUSAGE_THREAD, usage);
  return (words[MINFLT] + words[MAJFLT]) >>> 0;
}
