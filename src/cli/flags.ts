// Values of options that several commands share.

import { UsageError } from './fail.ts';

/** NAME=VALUE pairs as an object. */
export function environment(pairs: readonly string[]): Record<string, string> {
  const env: Record<string, string> = {};
  for (const pair of pairs) {
    const at = pair.indexOf('=');
    if (at < 1) throw new UsageError(`--env needs NAME=VALUE, not "${pair}".`);
    env[pair.slice(0, at)] = pair.slice(at + 1);
  }
  return env;
}
