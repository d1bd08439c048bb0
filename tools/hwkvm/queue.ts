// Runs many test files in several emulated machines at once: each machine takes the next file when it is done with one. A machine that
// hangs or dies costs the file it was at, is replaced, and the others go on.
//
//   runQueue(files, options) → what it came to, printed as it comes, each file's output in one piece

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Home, type Machine, type MachineOptions, bootMachine, packDisks, showConsole } from './machine.ts';

/** One entry of the queue. */
export interface QueuedFile {
  readonly file: string;
  /** Shell text; what it prints ends with a line `N passed, N failed[, N skipped]`. */
  readonly command: string;
  /** After this long it is taken for hanging. */
  readonly timeoutMs: number;
}

/** How it is run. `timeoutMs` is for everything together. */
export interface QueueOptions extends Omit<MachineOptions, 'onOutput'> {
  /** How many machines at once. */
  readonly machines: number;
  readonly home: Home | null;
}

export interface Totals { passed: number; failed: number; skipped: number }

/** What runs inside: says that it is ready or done (a record separator, the exit status), then reads the next command. */
const LOOP = `exec 3</dev/ttyS1
status=0
while printf '\\036%s\\n' $status; read -r line <&3; do
  [ "$line" = end ] && break
  sh -c "$line" </dev/null 3<&-
  status=$?
done`;
const MARK = /\x1e\d+\n/;
const SUMMARY = /(?<=^|\n)(\d+) passed, (\d+) failed(?:, (\d+) skipped)?\n$/;
const BOOT_MS = 120_000;
const BOOT_TRIES = 3;
/** How long one that was told to end may take. */
const END_MS = 10_000;

interface FileOutput { readonly output: string; readonly problem: string | null }

/** One of the machines that run at the same time; it boots when there is something to do. */
class Lane {
  private machine: Machine | null = null;
  /** Printed since the last mark, one character a byte. */
  private text = '';
  private onText = (): void => {};
  private readonly dir: string;
  private readonly disks: readonly string[];
  private readonly options: QueueOptions;
  private readonly endMs: number;

  constructor(dir: string, disks: readonly string[], options: QueueOptions, endMs: number) {
    [this.dir, this.disks, this.options, this.endMs] = [dir, disks, options, endMs];
    mkdirSync(dir);
  }

  /** What the file's command printed; `problem` says why there is no more of it. Null: no machine boots. */
  async run({ command, timeoutMs }: QueuedFile): Promise<FileOutput | null> {
    if (this.machine === null && !(await this.boot())) return null;
    this.machine?.send(`${command}\n`);
    const output = await this.untilMark(timeoutMs);
    if (output !== null) return { output, problem: null };
    const printed = this.text;
    showConsole(this.dir);
    await this.end();
    return { output: printed, problem: 'the emulated machine hung or ended' };
  }

  async end(): Promise<void> {
    const { machine } = this;
    this.machine = null;
    machine?.kill();
    await Promise.race([machine?.ended, sleep(END_MS, null, { ref: false })]);
  }

  private async boot(): Promise<boolean> {
    for (let tries = 0; tries < BOOT_TRIES; tries++) if (await this.tryBoot()) return true;
    return false;
  }

  private async tryBoot(): Promise<boolean> {
    const left = this.endMs - performance.now();
    if (left <= 0) return false;
    this.text = '';
    const onOutput = (bytes: Buffer): void => {
      this.text += bytes.toString('latin1');
      this.onText();
    };
    this.machine = bootMachine({ ...this.options, timeoutMs: left, onOutput }, this.dir, this.disks);
    if ((await this.untilMark(BOOT_MS)) !== null) return true;
    showConsole(this.dir);
    await this.end();
    return false;
  }

  /** What is printed up to the next mark; null when the machine ends or the time is up before. */
  private async untilMark(timeoutMs: number): Promise<string | null> {
    const stop = new AbortController();
    const marked = new Promise<true>((resolve) => {
      this.onText = (): void => {
        if (MARK.test(this.text)) resolve(true);
      };
      this.onText();
    });
    const late = sleep(Math.max(0, Math.min(timeoutMs, this.endMs - performance.now())), false, { signal: stop.signal }).catch(() => false);
    const isThere = await Promise.race([marked, late, this.machine?.ended.then(() => false)]);
    stop.abort();
    const mark = MARK.exec(this.text);
    if (!isThere || mark === null) return null;
    const printed = this.text.slice(0, mark.index);
    this.text = this.text.slice(mark.index + mark[0].length);
    return printed;
  }
}

/** Prints a file's output without its summary line, which is added to the totals. */
function count({ file }: QueuedFile, { output, problem }: FileOutput, totals: Totals): void {
  const summary = SUMMARY.exec(output);
  process.stdout.write(Buffer.from(summary === null ? output : output.replace(SUMMARY, ''), 'latin1'));
  if (summary !== null && problem === null) {
    totals.passed += Number(summary[1]);
    totals.failed += Number(summary[2]);
    totals.skipped += Number(summary[3] ?? 0);
    return;
  }
  console.log(`FAIL ${file}: ${problem ?? 'no summary line'}`);
  totals.failed++;
}

/**
 * Runs the files, the first ones first. Whatever did not run is a failure each.
 * @throws SetupError when the machines cannot be made.
 */
export async function runQueue(files: readonly QueuedFile[], options: QueueOptions): Promise<Totals> {
  const totals: Totals = { passed: 0, failed: 0, skipped: 0 };
  const waiting = [...files];
  const dir = mkdtempSync(join(tmpdir(), 'offshoot-hwkvm-'));
  const endMs = performance.now() + options.timeoutMs;
  let isInterrupted = false;
  const interrupt = (): void => void (isInterrupted = true);
  process.on('SIGINT', interrupt).on('SIGTERM', interrupt);
  try {
    const disks = packDisks(dir, LOOP, options.home);
    await Promise.all(Array.from({ length: options.machines }, async (_, at) => {
      const lane = new Lane(join(dir, String(at)), disks, options, endMs);
      while (!isInterrupted && performance.now() < endMs) {
        const file = waiting.shift();
        if (file === undefined) break;
        const output = await lane.run(file);
        if (output === null) {
          console.log('FAIL an emulated machine did not boot');
          totals.failed++;
          waiting.unshift(file);
          break;
        }
        count(file, output, totals);
      }
      await lane.end();
    }));
  } finally {
    process.off('SIGINT', interrupt).off('SIGTERM', interrupt);
    rmSync(dir, { recursive: true, force: true });
  }
  const why = isInterrupted ? 'interrupted' : performance.now() < endMs ? 'no machine' : `stopped after ${options.timeoutMs / 1000} s`;
  for (const { file } of waiting) console.log(`FAIL ${file}: not run: ${why}`);
  totals.failed += waiting.length;
  return totals;
}
