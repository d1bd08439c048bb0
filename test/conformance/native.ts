// Runs a conformance case on the host itself, in a private directory on a tmpfs where there is one: in the sandbox's root where that can be
// entered (imageroot.ts), else in the host's own.
// Owns what both sides share: Job and Outcome. In the emulated machine (docs/hwkvm.md) it answers with what was recorded outside.

import { spawn } from 'node:child_process';
import { chmodSync, chownSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Language } from './cases.ts';
import { imageRoot, inImageRoot } from './imageroot.ts';

/** One program to run. It is copied to the directory above its working directory, which is empty and belongs to `uid`. */
export interface Job {
  /** The program on the host: an ELF file or a source. */
  readonly program: string;
  readonly language: Language;
  /** Its argument: which of the program's cases. */
  readonly part: string | null;
  readonly uid: number;
  readonly timeoutMs: number;
}

/** What a run left. Output is latin1: one character a byte. `exitCode` is null when a signal ended it. */
export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number | null;
  readonly signal: string | null;
}

/** The environment of every run, natively and in a sandbox. */
export const ENV: Readonly<Record<string, string>> = {
  PATH: '/usr/local/bin:/usr/bin:/bin', HOME: '/tmp', LANG: 'C.UTF-8', TZ: 'UTC', PYTHONDONTWRITEBYTECODE: '1',
  CASE_VARIABLE: 'of the case',
};

/** What runs the sources that are not compiled. */
const INTERPRETERS: Readonly<Record<Language, string[]>> = { c: [], python: ['/usr/bin/python3'], shell: ['/bin/bash'] };
const FILE_NAMES: Readonly<Record<Language, string>> = { c: 'case', python: 'case.py', shell: 'case.sh' };
const OUTPUT_BYTES_MAX = 1 << 20;

/** Outcomes by file name of the program, written by tools/hwkvm/record.ts. */
export const RECORDED = fileURLToPath(new URL('../../node_modules/.cache/conformance/outcomes.json', import.meta.url));

/** The guest of test/kvm/rewind.test.ts, compiled with them. */
export const RECORDED_GUEST = fileURLToPath(new URL('../../node_modules/.cache/conformance/rewindguest', import.meta.url));

/** Whether this is the emulated machine. */
export const IS_EMULATED = process.env['OFFSHOOT_HWKVM'] !== undefined;

/** Whether outcomes come from the record: the emulated machine has neither gcc nor Python. */
export const IS_RECORDED = IS_EMULATED && existsSync(RECORDED);
let outcomes: Readonly<Record<string, Outcome>> | null = null;

function recorded({ program, part }: Job): Outcome {
  outcomes ??= JSON.parse(readFileSync(RECORDED, 'utf8')) as Record<string, Outcome>;
  const outcome = outcomes[recordName(program, part)];
  if (!outcome) throw new Error(`no recorded outcome of ${recordName(program, part)}`);
  return outcome;
}

/** A job's name in the record. */
export function recordName(program: string, part: string | null): string {
  return part === null ? basename(program) : `${basename(program)}:${part}`;
}

/** What the program is called where it runs. */
export function fileNameOf(job: Job): string {
  return FILE_NAMES[job.language];
}

/** The command of a job whose program lies at `path`. */
export function commandOf(job: Job, path: string): string[] {
  return [...INTERPRETERS[job.language], path, ...(job.part === null ? [] : [job.part])];
}

/** Whether this machine can run a case for `uid` natively; the reason when not. */
export function cannotRunNatively(uid: number): string | null {
  const own = process.getuid?.() ?? -1;
  return own === 0 || own === uid ? null : `runs natively only as root or uid ${uid}`;
}

/** Runs the job in a new private directory and removes it. */
export async function runNatively(job: Job): Promise<Outcome> {
  if (IS_RECORDED) return recorded(job);
  const root = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'conformance-'));
  try {
    chmodSync(root, 0o755);
    const program = join(root, fileNameOf(job));
    copyFileSync(job.program, program);
    chmodSync(program, 0o755);
    const cwd = join(root, 'work');
    mkdirSync(cwd, 0o755);
    const isRoot = process.getuid?.() === 0;
    if (isRoot) chownSync(cwd, job.uid, job.uid);
    const inside = imageRoot();
    if (inside !== null) {
      const argv = inImageRoot(inside, root, { uid: job.uid, env: ENV }, (dir) => commandOf(job, join(dir, fileNameOf(job))));
      return await run(job, argv, '/', false);
    }
    return await run(job, commandOf(job, program), cwd, isRoot);
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
}

function run(job: Job, argv: string[], cwd: string, isRoot: boolean): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const ids = isRoot ? { uid: job.uid, gid: job.uid } : {};
    const child = spawn(argv[0], argv.slice(1), { cwd, env: { ...ENV }, stdio: ['ignore', 'pipe', 'pipe'], detached: true, ...ids });
    const output = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) {
      child[name].setEncoding('latin1').on('data', (text: string) => {
        if (output[name].length < OUTPUT_BYTES_MAX) output[name] += text;
      });
    }
    const timer = setTimeout(() => {
      output.stderr += '[timed out]';
      if (child.pid !== undefined) process.kill(-child.pid, constants.signals.SIGKILL);
    }, job.timeoutMs);
    child.on('error', reject);
    child.on('close', (exitCode, signal) => {
      clearTimeout(timer);
      resolve({ ...output, exitCode, signal });
    });
  });
}
