// node:test's reporter for tools/test.ts: appends each result as a line of JSON to the file $OFFSHOOT_TEST_EVENTS, at once, so
// that what was known survives a crash of the process.

import { appendFileSync } from 'node:fs';
import { inspect } from 'node:util';
import type { TestEvent } from 'node:test/reporters';

/** One line of the events file. */
export interface Result {
  /** `end`: it is over but does not count (a suite; a test that failed because its subtests did). */
  readonly kind: 'start' | 'pass' | 'fail' | 'skip' | 'end' | 'note';
  /** Of a note: its text. */
  readonly name: string;
  /** Of a failure: message, difference and stack. */
  readonly error?: string;
}

/** node:test's own closing lines. */
const SUMMARY = /^(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/;

/** The tests around the one being reported, by nesting. */
const names: string[] = [];

function fullName(name: string, nesting: number): string {
  return [...names.slice(0, nesting), name].join(' › ');
}

function toResult(event: TestEvent): Result | null {
  if (event.type === 'test:dequeue') { // test:start comes in the order of reporting, not of running
    names[event.data.nesting] = event.data.name;
    return { kind: 'start', name: fullName(event.data.name, event.data.nesting) };
  }
  if (event.type === 'test:diagnostic' && !SUMMARY.test(event.data.message)) return { kind: 'note', name: event.data.message };
  if (event.type !== 'test:pass' && event.type !== 'test:fail') return null;
  const { name, nesting, skip, todo, details } = event.data;
  const full = fullName(name, nesting);
  if (event.type === 'test:pass') {
    if (details.type === 'suite') return { kind: 'end', name: full };
    return { kind: skip !== undefined && skip !== false ? 'skip' : 'pass', name: full };
  }
  if (todo !== undefined && todo !== false) return { kind: 'skip', name: full };
  const error = event.data.details.error;
  if ('failureType' in error && error.failureType === 'subtestsFailed') return { kind: 'end', name: full };
  return { kind: 'fail', name: full, error: inspect(error.cause ?? error, { depth: 6 }) };
}

async function* report(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const path = process.env['OFFSHOOT_TEST_EVENTS'] ?? '/dev/stdout';
  for await (const event of source) {
    const result = toResult(event);
    if (result !== null) appendFileSync(path, JSON.stringify(result) + '\n');
  }
  yield '';
}

export { report as default };
