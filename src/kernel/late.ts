// What a restored kernel makes of its saved state only when somebody looks: a fork that does not run, or runs little, should not pay
// for it.

/** A value, or how to make it. Values are never functions. */
export type Late<T extends object> = T | (() => T);

/** The value; the caller keeps it in the place of `late`. */
export function made<T extends object>(late: Late<T>): T {
  return typeof late === 'function' ? late() : late;
}
