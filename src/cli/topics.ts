// `offshoot help TOPIC`: the pages of docs/, as they are in the package.

import { readFileSync, readdirSync } from 'node:fs';
import { UsageError } from './fail.ts';

const DOCS = new URL('../../docs/', import.meta.url);

/** Names of the pages. */
export function topics(): readonly string[] {
  return readdirSync(DOCS).filter((name) => name.endsWith('.md')).map((name) => name.slice(0, -3)).sort();
}

/** The text of a page. Throws UsageError when there is none. */
export function topic(name: string): string {
  if (!topics().includes(name)) throw new UsageError(`there is no command or topic "${name}": topics are ${topics().join(', ')}.`);
  return readFileSync(new URL(`${name}.md`, DOCS), 'utf8');
}
