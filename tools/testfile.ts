// Runs one test file in its own process and process group, with a time limit, and collects what its reporter wrote.
//
//   runFile(root, file, timeoutMs, verbose) → FileResult

import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Result } from './testreporter.ts';

/** What one file came to. */
export interface FileResult {
  readonly file: string;
  readonly passed: number;
  readonly skipped: number;
  readonly failures: readonly { readonly name: string; readonly error: string }[];
  /** Its standard output and error, the last part of it. */
  readonly output: string;
  readonly timeMs: number;
}

interface Ended { readonly code: number | null; readonly signal: string | null; readonly timedOut: boolean; readonly output: string }

const OUTPUT_MAX = 64 << 10;
const COUNTED: ReadonlySet<Result['kind']> = new Set(['pass', 'fail', 'skip']);

/** Groups of the children that run now, to take them along when this process is ended. */
const running = new Set<ChildProcess>();

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // The whole group is gone.
  }
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => {
    for (const child of running) killGroup(child);
    process.exit(130);
  });
}

function runChild(root: string, file: string, events: string, timeoutMs: number, verbose: boolean): Promise<Ended> {
  const reporter = pathToFileURL(join(import.meta.dirname, 'testreporter.ts')).href;
  const child = spawn(process.execPath, [`--test-reporter=${reporter}`, '--test-reporter-destination=stdout', file], {
    cwd: root, detached: true, stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, OFFSHOOT_TEST_EVENTS: events, NO_COLOR: '1' },
  });
  running.add(child);
  let output = '';
  const take = (bytes: Buffer): void => {
    if (verbose) process.stdout.write(bytes);
    output = (output + bytes.toString()).slice(-OUTPUT_MAX);
  };
  child.stdout.on('data', take);
  child.stderr.on('data', take);
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    killGroup(child);
  }, timeoutMs);
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    // A child of the test may hold the pipes open after the test has ended: the group goes with it.
    child.on('exit', () => killGroup(child));
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      running.delete(child);
      resolve({ code, signal, timedOut, output });
    });
  });
}

/** Where a file that did not end by itself was, as far as its events tell: they stop while a test blocks the event loop. */
function lastKnown(results: readonly Result[]): string {
  const open = new Set<string>();
  for (const result of results) {
    if (result.kind === 'start') open.add(result.name);
    else open.delete(result.name);
  }
  if (open.size > 0) return `during "${[...open].at(-1)}"`;
  const last = results.findLast(result => COUNTED.has(result.kind));
  return last === undefined ? 'before the first result' : `after the result of "${last.name}" (a later test blocks, or something keeps the process alive)`;
}

/** Why the file as a whole failed, beyond its tests; null when it did not. */
function fileError(ended: Ended, results: readonly Result[], timeoutMs: number): string | null {
  const counted = results.filter(result => COUNTED.has(result.kind));
  if (ended.timedOut) return `stopped after ${timeoutMs / 1000} s ${lastKnown(results)}`;
  if (ended.signal !== null) return `ended by ${ended.signal} ${lastKnown(results)}`;
  if (ended.code !== 0 && !counted.some(result => result.kind === 'fail')) return `exit status ${ended.code}`;
  if (counted.length === 0) return 'holds no test';
  return null;
}

/** Runs `file` (a path below `root`). Never throws for what the test does. */
export async function runFile(root: string, file: string, timeoutMs: number, verbose: boolean): Promise<FileResult> {
  const started = performance.now();
  const dir = mkdtempSync(join(tmpdir(), 'offshoot-test-'));
  const events = join(dir, 'events');
  try {
    writeFileSync(events, '');
    const ended = await runChild(root, file, events, timeoutMs, verbose);
    const lines = readFileSync(events, 'utf8').split('\n').filter(line => line !== '');
    const results = lines.map(line => JSON.parse(line) as Result);
    const failures = results.filter(result => result.kind === 'fail').map(({ name, error }) => ({ name, error: error ?? '' }));
    const error = fileError(ended, results, timeoutMs);
    if (error !== null) failures.push({ name: file, error });
    const notes = results.filter(result => result.kind === 'note').map(note => `${note.name}\n`).join('');
    const count = (kind: Result['kind']): number => results.filter(result => result.kind === kind).length;
    return {
      file, passed: count('pass'), skipped: count('skip'), failures, output: notes + (verbose ? '' : ended.output),
      timeMs: performance.now() - started,
    };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
