// Signals as callers name them.

import { signalName } from '../abi/linux/signal.ts';
import { OffshootError } from './errors.ts';

const SIGNAL_MAX = 64;

/** The number of "SIGTERM", "TERM" or 15. Throws OffshootError 'bad-argument'. */
export function signalNumber(signal: string | number): number {
  if (typeof signal === 'number' && Number.isInteger(signal) && signal >= 0 && signal <= SIGNAL_MAX) return signal;
  const name = typeof signal === 'string' ? signal.toUpperCase() : '';
  for (let signo = 1; signo <= SIGNAL_MAX; signo++) if (name !== '' && (signalName(signo) === name || signalName(signo) === `SIG${name}`)) return signo;
  throw new OffshootError('bad-argument', `There is no signal ${String(signal).slice(0, 20)}.`);
}
