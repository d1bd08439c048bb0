// The arguments of the `offshoot` command and its exit codes; the work is in the sibling files.
// Exit codes: the guest's own; 124 on timeout; 2 for anything the user got wrong or the host lacks; 1 for our failures.

import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { UsageError, fail, say } from './fail.ts';
import type { FileFlags } from './files.ts';
import type { KeyFlags } from './keys.ts';
import type { LimitFlags } from './limits.ts';
import type { ServeFlags } from './serve.ts';
import type { BuildFlags } from './template.ts';

/** Options shared by `run` and `exec`. */
export interface RunFlags extends LimitFlags, FileFlags {
  readonly template: string;
  readonly memory?: string;
  readonly env: readonly string[];
  readonly strace?: boolean;
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly code?: string;
  readonly server?: string;
}

function version(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

const repeated = (value: string, all: string[] | undefined): string[] => [...all ?? [], value];

function withRunFlags(command: Command): Command {
  return command
    .option('-t, --template <name>', 'template to fork', 'python')
    .option('--timeout <seconds>', 'end the run after so much wall-clock time (exit code 124)')
    .option('--memory <MB>', 'most memory the sandbox may use (default 512)')
    .option('--cpu-time <seconds>', 'end the run after so much processor time')
    .option('--output <MB>', 'end the run after so much output (default 64)')
    .option('--processes <count>', 'most processes and threads at a time (default 256)')
    .option('--files <count>', 'most open files of a process (default 4096)')
    .option('--disk <MB>', 'most data in files it writes (default 1024)')
    .option('--inodes <count>', 'most files and directories it makes (default 1048576)')
    .option('--kernel-memory <MB>', 'end the run when the kernel keeps more than that in its own memory for it (default 160)')
    .option('--env <K=V>', 'set an environment variable; may be repeated', (value, all: string[]) => [...all, value], [] as string[])
    .option('--in <path[:guest]>', 'give it a file or directory of the host, which it may change for itself; may be repeated', repeated)
    .option('--out <guest:path>', 'copy files out when it has ended, also when it failed; * and ? work; may be repeated', repeated)
    .option('--out-limit <MB>', 'most that is copied out (default 64)')
    .option('--workdir <dir>', 'working directory in the sandbox')
    .option('--server <url>', 'run it on a service (offshoot serve) instead of here; the key is $OFFSHOOT_KEY')
    .option('-q, --quiet', 'no progress and no hints')
    .option('--strace', 'print each system call on stderr, as strace -f does')
    .option('--json', 'print one JSON object with output, exit code and timings instead of streaming');
}

function templateCommands(root: Command): Command {
  const template = root.command('template').description('build, list, inspect and remove templates').allowExcessArguments()
    .action(() => {
      throw new UsageError('template needs a command: build NAME, ls, inspect NAME, rm NAME or prune.');
    });
  template.command('build').argument('<name>', 'template name').description('build a template (and its image) now')
    .option('--from <source>', 'debian (default), dir:PATH, tar:FILE (docker export, docker save) or oci:DIR[:TAG]')
    .option('--package <deb>', 'add a Debian package; may be repeated', repeated)
    .option('--requirements <file>', 'add the Python packages of a requirements file, fetched with pip')
    .option('--wheel <file>', 'add a Python package from a wheel file; may be repeated', repeated)
    .option('--preload <module>', 'import a module before the snapshot point; may be repeated', repeated)
    .option('--setup <file>', 'run a Python file before the snapshot point')
    .option('--env <K=V>', 'set an environment variable for the template and its runs; may be repeated', repeated)
    .option('--memory <MB>', 'most memory while it is built (default 1024), and the default of its runs')
    .option('-q, --quiet', 'no progress')
    .action(async (name: string, flags: BuildFlags) => (await import('./template.ts')).build(name, flags));
  template.command('ls').description('list templates').option('--json', 'one JSON object per line')
    .action(async (flags: { json?: boolean }) => (await import('./template.ts')).list(flags));
  template.command('inspect').argument('<name>', 'template name').option('--json', 'print JSON').option('-q, --quiet', 'no progress')
    .description('memory by mapping, modules, what it is made of, what a start costs')
    .action(async (name: string, flags: { json?: boolean; quiet?: boolean }) => (await import('./template.ts')).inspect(name, flags));
  template.command('rm').argument('<name>', 'template name').description('remove a template; its image stays')
    .action(async (name: string) => (await import('./template.ts')).remove(name));
  template.command('prune').description('remove templates that would be built again at their next use anyway')
    .action(async () => (await import('./template.ts')).prune());
  return template;
}

function imageCommands(root: Command): Command {
  const image = root.command('image').description('list and remove images').allowExcessArguments()
    .action(() => {
      throw new UsageError('image needs a command: ls, rm NAME or prune.');
    });
  image.command('ls').description('list images and what uses them').option('--json', 'one JSON object per line')
    .action(async (flags: { json?: boolean }) => (await import('./image.ts')).list(flags));
  image.command('rm').argument('<name>', 'image name').description('remove an image that no template uses')
    .action(async (name: string) => (await import('./image.ts')).remove(name));
  image.command('prune').description('remove all images that no template uses').option('--downloads', 'also the packages that were downloaded for them')
    .action(async (flags: { downloads?: boolean }) => (await import('./image.ts')).prune(flags));
  return image;
}

function serviceCommands(root: Command): Command {
  root.command('serve').description('serve the HTTP API (docs/service.md)')
    .option('--host <address>', 'where to listen (default 127.0.0.1; others need keys)').option('--port <port>', 'default 8080; 0: any free one')
    .option('--keys <file>', 'API keys (default keys.json in the home directory, where there is one)').option('--config <file>', 'settings, as JSON')
    .action(async (flags: ServeFlags) => (await import('./serve.ts')).serve(flags));
  const keys = root.command('keys').description('make, list and revoke API keys').allowExcessArguments()
    .action(() => {
      throw new UsageError('keys needs a command: create [NAME], ls or revoke ID.');
    });
  const file = (command: Command): Command => command.option('--keys <file>', 'the key file (default keys.json in the home directory)');
  file(keys.command('create').argument('[name]', 'whose it is', '')).description('make a key and print it, once')
    .option('--admin', 'it may build and remove templates and read the metrics').option('--expires <days>', 'it is valid for so long')
    .option('--requests-per-minute <count>').option('--concurrency <count>', 'runs at a time').option('--sandboxes <count>', 'live sandboxes')
    .option('--runs-per-day <count>').option('--cpu-per-day <seconds>', 'processor time')
    .action(async (name: string, flags: KeyFlags) => (await import('./keys.ts')).create(name, flags));
  file(keys.command('ls')).description('list keys').option('--json', 'one JSON object per line')
    .action(async (flags: KeyFlags) => (await import('./keys.ts')).list(flags));
  file(keys.command('revoke').argument('<id>')).description('a key is not valid any more; what it runs is ended')
    .action(async (id: string, flags: KeyFlags) => (await import('./keys.ts')).revoke(id, flags));
  return keys;
}

function program(): Command {
  const root = new Command('offshoot')
    .description('Run code you do not trust in virtual machines that start faster than a process forks.')
    .version(version())
    .enablePositionalOptions()
    .exitOverride();
  withRunFlags(root.command('run').description('run Python code in a fresh sandbox'))
    .usage('[options] (-c CODE | FILE.py | -) [ARG...]')
    .option('-c, --code <code>', 'the program, as text')
    .option('--no-dir', 'hide the directory of FILE.py, which is otherwise visible, read-only, at its place')
    .argument('[file]', 'a Python file, or - for standard input')
    .argument('[args...]', 'arguments for the program (sys.argv)')
    .passThroughOptions()
    .action(async (file: string | undefined, args: string[], flags: RunFlags) => (await import('./run.ts')).run(file, args, flags));
  withRunFlags(root.command('exec').description('run a program of the image in a fresh sandbox'))
    .usage('[options] -- CMD [ARG...]')
    .argument('<command...>', 'the program and its arguments')
    .passThroughOptions()
    .action(async (argv: string[], flags: RunFlags) => (await import('./run.ts')).exec(argv, flags));
  withRunFlags(root.command('shell').description('bash in a fresh sandbox, on a terminal of its own where this is one'))
    .action(async (flags: RunFlags) => (await import('./run.ts')).shell(flags));
  root.helpCommand(false).command('help').argument('[topic...]', 'a command or a page of docs/').description('explain a command or a topic')
    .action(async (topic: readonly string[]) => {
      const command = topic.reduce<Command | undefined>((at, word) => at?.commands.find((each) => each.name() === word), root);
      process.stdout.write(command ? command.helpInformation() : (await import('./topics.ts')).topic(topic.join(' ')));
    });
  const template = templateCommands(root);
  const image = imageCommands(root);
  const keys = serviceCommands(root);
  root.command('bench').argument('<name>', 'fork | exec | template | dispatch | rate | live | syscall | compile | stateful | branch | http')
    .option('--json', 'print JSON').option('-n <count>', 'samples')
    .description('measure on this machine; every sample runs the VM and checks its output')
    .action(async (name: string, flags: { json?: boolean; n?: string }) => (await import('./bench.ts')).bench(name, flags));
  root.command('doctor').description('whether this host can run sandboxes, how it isolates them, what makes them slow; each problem with its fix')
    .option('--selftest', 'list each check of the KVM').option('--json', 'print JSON')
    .action(async (flags: { selftest?: boolean; json?: boolean }) => (await import('./doctor.ts')).doctor(flags));
  root.command('completion').argument('<shell>', 'bash | zsh | fish').description('print the completion script of a shell: source it')
    .action(async (shell: string) => void process.stdout.write((await import('./completion.ts')).completionScript(root, shell)));
  const below = [...template.commands, ...image.commands, ...keys.commands];
  for (const command of below) command.allowExcessArguments(false);
  for (const command of [root, ...root.commands, ...below]) {
    command.exitOverride().configureOutput({ writeErr: (text) => process.stderr.write(oneLine(text)) });
  }
  return root;
}

/** Commander's errors start with "error: " and may suggest on a second line: one line, our name in front, our code behind. */
function oneLine(text: string): string {
  return text.startsWith('error: ') ? `offshoot: ${text.slice(7).trim().replace(/\n+/g, ' ')} [bad-argument]\n` : text;
}

/** Runs the command of this process's arguments and sets its exit code. */
export async function main(): Promise<void> {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit(141);
      if (stream === process.stdout) say(`the output cannot be written: ${error.code === 'ENOSPC' ? 'the disk is full' : error.code}.`, 'files-failed');
      process.exit(2);
    });
  }
  try {
    const root = program();
    if (process.argv.length <= 2) root.help({ error: true });
    await root.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
    else fail(error);
  }
}
