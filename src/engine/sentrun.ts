// A run's options on their way to the worker: only what is not as usual. To write and to read a header of 600 bytes costs two processes that
// have slept 47 µs, one of 200 bytes 29, which is a tenth of the way to the program.

import { RUN_LIMITS, type RunLimits, type RunOptions, type SentRun } from './protocol.ts';

/** Where programs start when nobody says otherwise. */
export const USUAL_CWD = '/home/user';

/** What has to be said of a run; `usualEnv` is the template's environment, the same object when the run has no other. */
export function sentRun({ env, cwd, limits, strace, countPages, ...rest }: RunOptions, usualEnv: RunOptions['env']): SentRun {
  const others = Object.entries(limits).filter(([name, value]) => value !== RUN_LIMITS[name as keyof RunLimits]);
  return {
    ...rest, ...(env === usualEnv ? {} : { env }), ...(cwd === USUAL_CWD ? {} : { cwd }), ...(strace ? { strace } : {}),
    ...(countPages ? { countPages } : {}), ...(others.length > 0 ? { limits: Object.fromEntries(others) } : {}),
  };
}

/** The run that was meant. */
export function receivedRun(sent: SentRun, usualEnv: RunOptions['env']): RunOptions {
  const { env = usualEnv, cwd = USUAL_CWD, strace = false, countPages = false, limits } = sent;
  return { ...sent, env, cwd, strace, countPages, limits: { ...RUN_LIMITS, ...limits } };
}
