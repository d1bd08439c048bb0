// npm run test:hwkvm: runs the smoke tests, or any command, in an emulated machine with AMD SVM (docs/hwkvm.md).
//
//   node tools/hwkvm/run.ts [--all] [--timeout S] [--memory MB] [--home DIR] [--image] [--console] [--fresh] [-- CMD [ARG...]]
//
// The exit status is the command's; 124 when the time was up, 125 when the machine failed, 2 for a wrong use.

import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { SetupError, base, requireTools } from './base.ts';
import { imageHome } from './image.ts';
import { runMachine } from './machine.ts';
import { SLICE } from '../../test/hwkvm/slice.ts';
import { recordNative } from './record.ts';

const USAGE = `usage: node tools/hwkvm/run.ts [options] [-- CMD [ARG...]]
Runs CMD (default: the tests in test/hwkvm) in an emulated machine with AMD SVM; the project is copied in.
  --all          run the tests in test/kvm and test/conformance too
  --timeout S    stop after S seconds (default 360; 3000 with --all)
  --memory MB    memory of the machine (default 1536)
  --home DIR     copy DIR in and point OFFSHOOT_HOME at the copy
  --image        build the default image outside and copy it in (implied without CMD)
  --console      print the machine's kernel console at the end
  --fresh        fetch the kernel and build the initramfs again`;

/** The test runner inside; it prints the summary line. */
const SMOKE = ['node', 'tools/test.ts', 'hwkvm'];
/** Left out of --all: thousands of runs or template after template (an hour in there), a compiler, the network. */
const LEFT_OUT = ['kvm/cli', 'kvm/template', 'kvm/leak', 'kvm/forkprotocol', 'kvm/first', 'kvm/homewrong', 'kvm/soak'];
const ALL = ['node', 'tools/test.ts', 'hwkvm', 'kvm', 'conformance', '--timeout', '120', ...LEFT_OUT.flatMap(part => ['--except', part])];
const SMOKE_SECONDS = 360;
const ALL_SECONDS = 3000;

/** What the command line asks for. */
interface Request {
  readonly command: readonly string[];
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
    all: no, timeout: { type: 'string' }, memory: { type: 'string', default: '1536' }, home: { type: 'string' }, image: no, console: no, fresh: no, help: no,
  } as const;
  try {
    return parseArgs({ args, options }).values;
  } catch (error) {
    throw new SetupError(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
  }
}

/** Null when only the usage was asked for. */
function parse(argv: readonly string[]): Request | null {
  const split = argv.indexOf('--');
  const given = split < 0 ? null : argv.slice(split + 1);
  const values = parseOptions(argv.slice(0, split < 0 ? undefined : split));
  if (values.help) return null;
  if (given?.length === 0) throw new SetupError(`no command after --\n${USAGE}`);
  if (values.home !== undefined && !existsSync(values.home)) throw new SetupError(`--home ${values.home}: no such directory`);
  return {
    command: given ?? (values.all ? ALL : SMOKE),
    timeoutMs: positive(values.timeout ?? String(values.all ? ALL_SECONDS : SMOKE_SECONDS), 'timeout') * 1000,
    memoryMb: positive(values.memory, 'memory'), home: values.home, image: values.home === undefined && (values.image || given === null),
    record: given !== null ? null : values.all ? /./ : SLICE, console: values.console, fresh: values.fresh,
  };
}

async function main(): Promise<number> {
  const request = parse(process.argv.slice(2));
  if (request === null) {
    console.log(USAGE);
    return 0;
  }
  requireTools();
  const machine = base(request.fresh);
  if (request.record !== null) await recordNative(request.record);
  const home = request.image ? await imageHome() : request.home === undefined ? null : { dir: request.home, paths: ['.'] };
  return runMachine({
    base: machine, command: request.command.map(quote).join(' '), timeoutMs: request.timeoutMs, memoryMb: request.memoryMb, home,
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
