// npm run test:hwkvm: runs the smoke tests, or any command, in an emulated machine with AMD SVM (docs/hwkvm.md).
//
//   node tools/hwkvm/run.ts [--timeout S] [--memory MB] [--home DIR] [--console] [--fresh] [-- CMD [ARG...]]
//
// The exit status is the command's; 124 when the time was up, 125 when the machine failed, 2 for a wrong use.

import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { SetupError, base, requireTools } from './base.ts';
import { runMachine } from './machine.ts';

const USAGE = `usage: node tools/hwkvm/run.ts [options] [-- CMD [ARG...]]
Runs CMD (default: the tests in test/hwkvm) in an emulated machine with AMD SVM; the project is copied in.
  --timeout S    stop after S seconds (default 360)
  --memory MB    memory of the machine (default 1536)
  --home DIR     copy DIR in and point OFFSHOOT_HOME at the copy
  --console      print the machine's kernel console at the end
  --fresh        fetch the kernel and build the initramfs again`;

/** The default: the test runner inside, which prints the summary line. */
const SMOKE = ['node', 'tools/test.ts', 'hwkvm'];

function quote(word: string): string {
  return /^[\w./=:,@+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

function positive(text: string, name: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new SetupError(`--${name} takes a positive number, not ${text}`);
  return value;
}

function parse(): { values: Record<string, string | boolean | undefined>; command: string[] } {
  const split = process.argv.indexOf('--');
  const options = {
    timeout: { type: 'string', default: '360' }, memory: { type: 'string', default: '1536' }, home: { type: 'string' },
    console: { type: 'boolean', default: false }, fresh: { type: 'boolean', default: false }, help: { type: 'boolean', default: false },
  } as const;
  try {
    const { values } = parseArgs({ args: process.argv.slice(2, split < 0 ? undefined : split), options });
    return { values, command: split < 0 ? SMOKE : process.argv.slice(split + 1) };
  } catch (error) {
    throw new SetupError(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
  }
}

async function main(): Promise<number> {
  const { values, command } = parse();
  if (values['help'] === true) {
    console.log(USAGE);
    return 0;
  }
  if (command.length === 0) throw new SetupError(`no command after --\n${USAGE}`);
  const home = typeof values['home'] === 'string' ? values['home'] : undefined;
  if (home !== undefined && !existsSync(home)) throw new SetupError(`--home ${home}: no such directory`);
  const timeoutMs = positive(String(values['timeout']), 'timeout') * 1000;
  const memoryMb = positive(String(values['memory']), 'memory');
  requireTools();
  const machine = base(values['fresh'] === true);
  return runMachine({
    base: machine, command: command.map(quote).join(' '), timeoutMs, memoryMb, home, console: values['console'] === true,
    onOutput: bytes => void process.stdout.write(bytes),
  });
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(`hwkvm: ${error.message}`);
  process.exitCode = 2;
}
