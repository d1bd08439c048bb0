// Why something that passes natively does not pass here: written by people, matched by docs/compat.md's generator.
//
// Interface: causeOf. An entry names a unit and, where only some of its tests are meant, a pattern of their names.

interface Cause { readonly suite: string; readonly unit: RegExp; readonly test?: RegExp; readonly cause: string }

const CAUSES: readonly Cause[] = [
  { suite: 'cpython', unit: /^test_largefile$/, cause: 'wants 6 GB of free disk; a sandbox has 1 GiB unless told otherwise' },
  { suite: 'numpy', unit: /./, test: /huge|big_stride/, cause: 'wants more memory than the sandbox was given' },
  { suite: 'cpython', unit: /^test_queue$/, cause: 'a hundred threads that wake each other: it passes on a machine with nothing else to do' },
  {
    suite: 'numpy', unit: /test_(io|format)\.py$/,
    cause: 'writes 2 GB files, and then there is no room for others; a sandbox has 1 GiB of disk and the memory it was given',
  },
  { suite: 'numpy', unit: /test_histograms\.py$/, cause: 'wants more memory than the sandbox was given' },
  { suite: 'stress', unit: /^aiol$/, cause: 'no io_setup (Linux AIO): programs fall back to threads' },
  { suite: 'stress', unit: /^vm-segv$/, cause: 'no ptrace: its child stops itself for a tracer' },
  { suite: 'stress', unit: /^(sem|shm|msg)-sysv$|^msg$/, cause: 'no System V IPC' },
  { suite: 'stress', unit: /^resources$/, cause: 'hundreds of processes that each open all they can: not done in the time it had' },
];

/** The cause for a unit, or for one of its tests; null: not known. */
export function causeOf(suite: string, unit: string, test: string | null): string | null {
  const found = CAUSES.find((one) => one.suite === suite && one.unit.test(unit) && (one.test === undefined || (test !== null && one.test.test(test))));
  return found?.cause ?? null;
}
