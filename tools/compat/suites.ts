// The suites: which files (units) each has and the program that runs one.
//
// Interface: SUITES, Suite.

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { execFileSync } from 'node:child_process';

export interface Suite {
  readonly name: string;
  /** What can be run by name, found in the unpacked image. */
  units(root: string): string[];
  /** The program for a unit; `only` narrows it down to tests that match, where the suite can. */
  argv(unit: string, timeoutSeconds: number, only: readonly string[]): string[];
  readonly nativeLimitMs: number;
  readonly memoryBytes: number;
}

const script = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8');
const PYTHON = ['/usr/bin/python3', '-u', '-c'];

const cpython: Suite = {
  name: 'cpython',
  nativeLimitMs: 300_000,
  memoryBytes: 2 ** 31,
  units(root) {
    const dir = join(root, 'usr/lib/python3.11/test');
    return readdirSync(dir).filter((name) => /^test_\w+(\.py)?$/.test(name)).map((name) => name.replace(/\.py$/, '')).sort();
  },
  argv: (unit, timeoutSeconds, only) => [...PYTHON, script('cpython.py'), unit, String(timeoutSeconds), ...only],
};

const numpy: Suite = {
  name: 'numpy',
  nativeLimitMs: 600_000,
  memoryBytes: 2 ** 32,
  units(root) {
    const dir = join(root, 'usr/lib/python3/dist-packages/numpy');
    const files = readdirSync(dir, { recursive: true, encoding: 'utf8' });
    return files.filter((name) => /(^|\/)tests\/test_\w+\.py$/.test(name)).sort();
  },
  argv: (unit, timeoutSeconds, only) => [...PYTHON, script('numpy.py'), `/usr/lib/python3/dist-packages/numpy/${unit}`,
    String(timeoutSeconds), ...only],
};

/** stress-ng keeps those about signals in its class `interrupt`. */
const STRESS_CLASSES = ['cpu', 'memory', 'vm', 'filesystem', 'pipe', 'scheduler', 'interrupt'];
const STRESS_SECONDS = 3;

const stress: Suite = {
  name: 'stress',
  nativeLimitMs: 60_000,
  memoryBytes: 2 ** 31,
  units(root) {
    const found = STRESS_CLASSES.flatMap((one) => stressorsOf(root, one));
    return [...new Set(found)].sort();
  },
  argv: (unit) => ['/usr/bin/stress-ng', `--${unit}`, '1', '--timeout', `${STRESS_SECONDS}s`, '--metrics-brief', '--verify', '--temp-path', '/tmp',
    '--oom-avoid', '--vm-bytes', '64M'],
};

/** `stress-ng --class NAME?` prints the names of its stressors. */
function stressorsOf(root: string, name: string): string[] {
  const text = execFileSync('chroot', [root, '/usr/bin/stress-ng', '--class', `${name}?`], { encoding: 'utf8' });
  return text.slice(text.indexOf(':') + 1).trim().split(/\s+/);
}

export const SUITES: readonly Suite[] = [cpython, numpy, stress];

/** The suite called `name`, or undefined. */
export function suiteOf(name: string): Suite | undefined {
  return SUITES.find((suite) => suite.name === name);
}

