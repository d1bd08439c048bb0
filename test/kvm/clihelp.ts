// Runs the command from its sources as a child process, as a shell would.

import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess, type SpawnOptions } from 'node:child_process';
import { mkdirSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../..');
/** The command's source. */
export const MAIN = resolve(ROOT, 'src/cli/main.ts');

export interface CliResult {
  readonly stdout: Buffer;
  readonly stderr: string;
  /** The exit code, or the name of the signal that ended the command itself. */
  readonly code: number | string;
}

export interface CliInit {
  /** Standard input: bytes; absent: empty; null: stays open. */
  readonly stdin?: string | Buffer | null;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly spawn?: SpawnOptions;
  /** Called with the child and each piece of output. */
  readonly onStdout?: (child: ChildProcess, bytes: Buffer) => void;
  readonly onStderr?: (child: ChildProcess, text: string) => void;
}

/** `offshoot ...args`. */
export function offshoot(args: readonly string[], init: CliInit = {}): Promise<CliResult> {
  return command(process.execPath, ['--no-warnings', MAIN, ...args], init);
}

/** Any program, its output kept. */
export function command(file: string, args: readonly string[], init: CliInit = {}): Promise<CliResult> {
  const child = spawn(file, args, { cwd: ROOT, ...init.spawn, env: { ...process.env, ...init.env }, stdio: ['pipe', 'pipe', 'pipe'] }) as ChildProcess;
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdin?.on('error', () => { /* it did not read its input */ });
  if (init.stdin !== null) child.stdin?.end(init.stdin ?? '');
  child.stdout?.on('data', (bytes: Buffer) => {
    out.push(bytes);
    init.onStdout?.(child, bytes);
  });
  child.stderr?.on('data', (bytes: Buffer) => {
    err.push(bytes);
    init.onStderr?.(child, bytes.toString());
  });
  return new Promise((done, failed) => {
    child.on('error', failed);
    child.on('close', (code, signal) => done({ stdout: Buffer.concat(out), stderr: Buffer.concat(err).toString(), code: signal ?? code ?? -1 }));
  });
}

/** Python in a fresh sandbox through the command. */
export function run(code: string, init: CliInit = {}, ...flags: string[]): Promise<CliResult> {
  return offshoot(['run', ...flags, '-c', code], init);
}

/** Commands on one home that must succeed: `build` makes a template, `ok` gives the output of any command. */
export function commandsOf(home: string): { build(...args: string[]): Promise<CliResult>; ok(args: string[]): Promise<string> } {
  const env = { OFFSHOOT_HOME: home };
  return {
    async build(...args) {
      const result = await offshoot(['template', 'build', ...args], { env });
      assert.deepEqual([result.stdout.toString(), result.code], [`${args[0]}: built\n`, 0], result.stderr);
      return result;
    },
    async ok(args) {
      const result = await offshoot(args, { env });
      assert.equal(result.code, 0, result.stderr);
      return result.stdout.toString();
    },
  };
}

/** Whether this user may make mount namespaces. */
export function canUnshare(): boolean {
  return spawnSync('unshare', ['-m', 'true']).status === 0;
}

/** Makes a view of the whole root without apt, dpkg and their configuration, and runs a program in it. $0 is a scratch directory. */
const WITHOUT_APT = `mount -t tmpfs none "$0" && cd "$0" && mkdir upper work root && mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root &&
rm -rf root/usr/bin/apt* root/usr/bin/dpkg* root/etc/apt && for d in dev proc sys tmp; do mount --rbind /$d root/$d || exit 9; done && exec chroot root "$@"`;

/** `offshoot ...args` on a host without apt. */
export function withoutApt(scratch: string, args: readonly string[], env: Readonly<Record<string, string>>): Promise<CliResult> {
  mkdirSync(scratch, { recursive: true });
  const node = realpathSync(process.execPath);
  return command('unshare', ['-m', 'sh', '-c', WITHOUT_APT, scratch, node, '--no-warnings', MAIN, ...args], { env });
}
