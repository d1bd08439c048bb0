// Why something that passes natively does not pass here: written by people, matched by docs/compat.md's generator.
//
// Interface: causeOf. An entry names a unit and, where only some of its tests are meant, a pattern of their names.

interface Cause { readonly suite: string; readonly unit: RegExp; readonly test?: RegExp; readonly cause: string }

const CAUSES: readonly Cause[] = [
  { suite: 'cpython', unit: /^test_largefile$/, cause: 'wants 6 GB of free disk; a sandbox has 1 GiB unless told otherwise' },
];

/** The cause for a unit, or for one of its tests; null: not known. */
export function causeOf(suite: string, unit: string, test: string | null): string | null {
  const found = CAUSES.find((one) => one.suite === suite && one.unit.test(unit) && (one.test === undefined || (test !== null && one.test.test(test))));
  return found?.cause ?? null;
}
