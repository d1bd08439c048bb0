// docs/compat.md from the outcomes that are kept: what passes, what does not, and why.
//
// Interface: compatPage.

import { causeOf } from './causes.ts';
import { compare, type Comparison } from './compare.ts';
import type { Outcome } from './job.ts';
import type { Results } from './results.ts';
import type { Suite } from './suites.ts';

interface Row { readonly unit: string; readonly native: Outcome; readonly here: Outcome; readonly result: Comparison }

const TITLES: Readonly<Record<string, string>> = {
  cpython: 'CPython\'s regression suite', numpy: 'numpy\'s own tests', stress: 'stress-ng',
};
const NOTES: Readonly<Record<string, string>> = {
  cpython: 'Debian\'s libpython3.11-testsuite, a file at a time under regrtest with all resources but network, urlfetch, gui and audio.',
  numpy: 'The tests inside Debian\'s python3-numpy, a file at a time under pytest.',
  stress: 'The stressors of the classes cpu, memory, vm, filesystem, pipe, scheduler and interrupt (signals), one at a time, 3 seconds each, `--verify`.',
};

function percent(part: number, whole: number): string {
  if (whole === 0) return '–';
  const value = Math.floor((10000 * part) / whole) / 100;
  return `${value} %`;
}

function sum(rows: readonly Row[], of: (result: Comparison) => number): number {
  return rows.reduce((total, { result }) => total + of(result), 0);
}

function rowsOf(suite: Suite, units: readonly string[], results: Results): Row[] {
  return units.flatMap((unit) => {
    const native = results.get(suite.name, 'native', unit);
    const here = results.get(suite.name, 'sandbox', unit);
    return native && here ? [{ unit, native, here, result: compare(native, here) }] : [];
  });
}

/** The reason a test gave, in a few words. */
function wordsOf(here: Outcome, test: string): string {
  const lines = (here.details[test] ?? '').trim().split('\n');
  return here.tests[test] === undefined ? 'not reached' : `${here.tests[test]}: ${lines[lines.length - 1].slice(0, 140)}`;
}

function escape(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('<', '&lt;').replaceAll('\n', ' ');
}

/** What a program complained of last, or said last. */
function lastWords(tail: string): string {
  const lines = tail.trim().split('\n');
  return (lines.findLast((line) => /\b(fail|error|warn):/.test(line)) ?? lines.at(-1) ?? '').slice(0, 160);
}

/** Tests that are wrong, those of one cause together. */
function causes(suite: Suite, { unit, here, result }: Row): string {
  const groups = new Map<string, string[]>();
  for (const test of result.wrong) {
    const cause = causeOf(suite.name, unit, test) ?? wordsOf(here, test);
    groups.set(cause, [...(groups.get(cause) ?? []), test.split('.').slice(-2).join('.')]);
  }
  if (groups.size === 0) return escape(causeOf(suite.name, unit, null) ?? here.reason?.split('\n')[0] ?? lastWords(here.tail));
  const name = (tests: readonly string[]): string => (tests.length > 2 ? `${tests.length} tests` : tests.join(', '));
  return [...groups].slice(0, 5).map(([cause, tests]) => escape(`${name(tests)}: ${cause}`)).join('; ');
}

function table(suite: Suite, heading: string, rows: readonly Row[]): string {
  if (rows.length === 0) return '';
  const lines = rows.map((row) => `| ${row.unit} | ${row.result.ok} / ${row.result.nativeOk} | ${causes(suite, row)} |`);
  return `\n### ${heading}\n\n| | tests passed here / natively | cause |\n|---|---|---|\n${lines.join('\n')}\n`;
}

function section(suite: Suite, units: readonly string[], results: Results): string {
  const rows = rowsOf(suite, units, results);
  const of = (standing: Comparison['standing']): Row[] => rows.filter(({ result }) => result.standing === standing);
  const [pass, wrong, slow, native] = [of('pass'), of('wrong'), of('slow'), of('native')];
  const expected = pass.length + wrong.length + slow.length;
  const counted = [...pass, ...wrong];
  const ok = sum(counted, (result) => result.ok), nativeOk = sum(counted, (result) => result.nativeOk);
  const partly = pass.filter(({ result }) => result.wrong.length > 0);
  const tests = nativeOk > 0 ? `\n| tests in those that ran to their end | ${nativeOk} | ${ok} | ${percent(ok, nativeOk)} |` : '';
  return `
## ${TITLES[suite.name]}

${NOTES[suite.name]}

| | pass natively | pass here | |
|---|---:|---:|---:|
| files | ${expected} | ${pass.length} | ${percent(pass.length, expected)} |${tests}

${native.length} of the ${rows.length} files that were run do not pass natively either (most are skipped there).${
  missing(units, rows)}${when(suite, rows, results)}
${table(suite, 'Wrong', wrong)}${table(suite, 'Too slow', slow)}${table(suite, 'Passing, but for some tests', partly)}`;
}

/** Names are given as long as they are few. */
const NAMES_MAX = 40;

/** What is not there, said plainly. */
function missing(units: readonly string[], rows: readonly Row[]): string {
  const run = new Set(rows.map(({ unit }) => unit));
  const names = units.filter((unit) => !run.has(unit));
  if (names.length === 0) return '';
  return ` ${names.length} of ${units.length} were not run${names.length <= NAMES_MAX ? `: ${names.join(', ')}` : ''}.`;
}

/** Outcomes are kept one by one: a page of several days says so. */
function when(suite: Suite, rows: readonly Row[], results: Results): string {
  const span = results.span(suite.name, rows.map(({ unit }) => unit));
  if (span === null) return '';
  const [from, to] = [span.from, span.to].map((time) => time.toISOString().slice(0, 16).replace('T', ' '));
  return `\nThe outcomes are from ${from} to ${to} (UTC).`;
}

/** The whole page. */
export function compatPage(suites: readonly Suite[], root: string, results: Results, packages: readonly string[]): string {
  const versions = ['python3.11_', 'libpython3.11-testsuite_', 'python3-numpy_', 'stress-ng_']
    .map((name) => packages.find((file) => file.startsWith(name))?.split('_').slice(0, 2).join(' ') ?? name);
  return `# Compatibility: other people's test suites

Generated by \`npm run compat -- report\` from the outcomes of \`npm run compat -- SUITE\`; do not edit. Causes are in \`tools/compat/causes.ts\`.

Each file runs natively (the image unpacked, in namespaces of its own, uid 1000, one processor) and in a fresh sandbox on the same image, as uid 1000,
with the sandbox's default limits but for memory (2 GiB; numpy 4 GiB). A test that passes natively and does anything else here, being skipped
included, counts as failed here. Too slow: its time was up here, after 8 times what it takes natively (at least two minutes), with nothing wrong before.

Packages: ${versions.map((version) => version.replaceAll('%3a', ':')).join(', ')}.
${suites.map((suite) => section(suite, suite.units(root), results)).join('')}`;
}
