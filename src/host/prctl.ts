// prctl(2): what this process says about itself to the kernel.

import koffi from 'koffi';
import { PR_SET_PDEATHSIG } from '../abi/linux/host.ts';
import { check } from './libc.ts';

const libc = koffi.load('libc.so.6');
const call = libc.func('prctl', 'int', ['int', 'ulong', 'ulong', 'ulong', 'ulong']) as
  (option: number, a: number, b: number, c: number, d: number) => number;

/** prctl(2). Throws HostError. */
function prctl(name: string, option: number, a: number): number {
  return check(`prctl ${name}`, call(option, a, 0, 0, 0));
}

/** `signal` comes when the thread that started this process ends. Forgotten when the process changes its user. */
export function setParentDeathSignal(signal: number): void {
  prctl('PR_SET_PDEATHSIG', PR_SET_PDEATHSIG, signal);
}
