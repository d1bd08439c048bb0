// npm run test:hwkvm: runs the smoke tests, or any command, in an emulated machine with AMD SVM (docs/hwkvm.md).
//
//   node tools/hwkvm/run.ts [--all] [--machines N] [--timeout S] [--memory MB] [--home DIR] [--image] [--console] [--fresh] [PATH-PART... | -- CMD [ARG...]]
//
// The exit status is the command's; 124 when the time was up, 125 when the machine failed, 2 for a wrong use.

import { existsSync } from 'node:fs';
import { availableParallelism, freemem } from 'node:os';
import { parseArgs } from 'node:util';
import { allFiles } from './allfiles.ts';
import { SetupError, base, requireTools } from './base.ts';
import { imageHome } from './image.ts';
import { QEMU_MB, runMachine } from './machine.ts';
import { SLICE } from '../../test/hwkvm/slice.ts';
import { type QueueOptions, runQueue } from './queue.ts';
import { needsRecord, recordNative } from './record.ts';

const USAGE = `usage: node tools/hwkvm/run.ts [options] [PATH-PART... | -- CMD [ARG...]]
Runs CMD (default: the tests in test/hwkvm) in an emulated machine with AMD SVM; the project is copied in.
  --all          run the tests in test/kvm and test/conformance too, in as many machines as there are processors;
                 with PATH-PARTs those files of them whose path contains one
  --machines N   how many machines --all uses at once
  --timeout S    stop after S seconds (default 360; 3000 with --all)
  --memory MB    memory of the machine (default 1536)
  --home DIR     copy DIR in and point OFFSHOOT_HOME at the copy
  --image        build the default image outside and copy it in (implied without CMD)
  --console      print the machine's kernel console at the end
  --fresh        fetch the kernel and build the initramfs again`;

/** The test runner inside; it prints the summary line. */
const SMOKE = ['node', 'tools/test.ts', 'hwkvm'];
const SMOKE_SECONDS = 360;
const ALL_SECONDS = 3000;

/** What the command line asks for. */
interface Request {
  /** Null: all files, in several machines. */
  readonly command: readonly string[] | null;
  /** Of all files those whose path contains one of these; empty: all. */
  readonly parts: readonly string[];
  readonly machines: number;
  readonly timeoutMs: number;
  readonly memoryMb: number;
  readonly home: string | undefined;
  readonly image: boolean;
  /** The conformance cases that are compiled and run natively first. */
  readonly record: RegExp | null;
  readonly console: boolean;
  readonly fresh: boolean;
}

function quote(word: string): string {
  return /^[\w./=:,@+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function positive(text: string, name: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new SetupError(`--${name} takes a positive number, not ${text}`);
  return value;
}

function parseOptions(args: string[]) {
  const no = { type: 'boolean', default: false } as const;
  const options = {
    all: no, machines: { type: 'string' }, timeout: { type: 'string' }, memory: { type: 'string', default: '1536' }, home: { type: 'string' },
    image: no, console: no, fresh: no, help: no,
  } as const;
  try {
    return parseArgs({ args, options, allowPositionals: true });
  } catch (error) {
    throw new SetupError(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
  }
}

/** As many as there are processors and memory for. */
function machinesThatFit(memoryMb: number): number {
  return Math.max(1, Math.min(availableParallelism(), Math.floor(freemem() / 2 ** 20 / (memoryMb + QEMU_MB))));
}

/** Null when only the usage was asked for. */
function parse(argv: readonly string[]): Request | null {
  const split = argv.indexOf('--');
  const given = split < 0 ? null : argv.slice(split + 1);
  const { values, positionals: parts } = parseOptions(argv.slice(0, split < 0 ? undefined : split));
  if (values.help) return null;
  if (given?.length === 0) throw new SetupError(`no command after --\n${USAGE}`);
  if (parts.length > 0 && (!values.all || given !== null)) throw new SetupError(`${parts[0]}: files are chosen with --all, without a command\n${USAGE}`);
  if (values.all && allFiles(parts).files.length === 0) throw new SetupError(`no test file's path contains ${parts.join(' or ')}`);
  const memoryMb = positive(values.memory, 'memory');
  if (values.home !== undefined && !existsSync(values.home)) throw new SetupError(`--home ${values.home}: no such directory`);
  return {
    command: given ?? (values.all ? null : SMOKE), parts, machines: positive(values.machines ?? String(machinesThatFit(memoryMb)), 'machines'),
    timeoutMs: positive(values.timeout ?? String(values.all ? ALL_SECONDS : SMOKE_SECONDS), 'timeout') * 1000,
    memoryMb, home: values.home, image: values.home === undefined && (values.image || given === null),
    record: given !== null ? null : !values.all ? SLICE : needsRecord(parts) ? /./ : null, console: values.console, fresh: values.fresh,
  };
}

/** Runs all files; the last line is the sum over all machines. */
async function runAll(parts: readonly string[], options: QueueOptions): Promise<number> {
  const { files, left } = allFiles(parts);
  for (const { file, reason } of left) console.log(`skip ${file}: ${reason}`);
  const totals = await runQueue(files, options);
  const skipped = totals.skipped + left.length;
  console.log(`${totals.passed} passed, ${totals.failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
  return totals.failed > 0 ? 1 : 0;
}

async function main(): Promise<number> {
  const request = parse(process.argv.slice(2));
  if (request === null) {
    console.log(USAGE);
    return 0;
  }
  requireTools();
  const machine = base(request.fresh);
  const home = request.image ? await imageHome() : request.home === undefined ? null : { dir: request.home, paths: ['.'] };
  if (request.record !== null) {
    if (home !== null) process.env['OFFSHOOT_HOME'] = home.dir; // cases run natively in its image's root
    await recordNative(request.record);
  }
  const { command, parts, timeoutMs, memoryMb, machines } = request;
  if (command === null) return runAll(parts, { base: machine, timeoutMs, memoryMb, machines, home });
  return runMachine({
    base: machine, command: command.map(quote).join(' '), timeoutMs, memoryMb, home,
    console: request.console, onOutput: bytes => void process.stdout.write(bytes),
  });
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`hwkvm: ${error.message}`);
  process.exitCode = 2;
}
