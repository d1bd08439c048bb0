// `offshoot bench compile`: building a real C project (zlib, from Debian's source package) and importing numpy, in sandboxes and natively
// in the same image. A script that runs on both sides reads its own clock; the image is unpacked for the native side, which runs in a
// changed root in namespaces of its own (unshare(1): as root, or where users may have namespaces). What an import cannot do without on
// this KVM, its traps and the first touches of its pages, is added to the native time: its floor.

import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import type { Engine } from '../engine/engine.ts';
import { ENVIRONMENT, templateSpec } from '../engine/spec.ts';
import type { Template } from '../engine/template.ts';
import { fetchSource } from '../image/source.ts';
import { findImage, openImage } from '../image/store.ts';
import { unpackImage } from '../image/unpack.ts';
import { BareTrap } from './bench-trap.ts';
import { ratio, row, single, type Row } from './benchrow.ts';

/** Kept like a template of the user's: removed with `offshoot template rm`. */
const NAME = 'bench-compile';
const PACKAGES = ['bzip2', 'gcc', 'libc6-dev', 'make'];
const PROJECT = 'zlib';
const TIMEOUT_MS = 600_000;
const MEMORY_BYTES = 1 << 30;

/** What is timed prints `NAME SECONDS SECONDS`; the project's own tests and numpy say whether it worked. */
const SCRIPT = `set -e
mkdir /tmp/${PROJECT}.build && cd /tmp/${PROJECT}.build
cat > ../source.tar && tar -xf ../source.tar --strip-components=1 --no-same-owner
a=$EPOCHREALTIME
./configure > configure.out
b=$EPOCHREALTIME
make > make.out
c=$EPOCHREALTIME
make test > test.out 2>&1
grep -c 'test OK' test.out
echo "compile $a $c"; echo "compile.configure $a $b"; echo "compile.make $b $c"
for i in 1 2 3 4 5 6 7 8 9 10; do
  d=$EPOCHREALTIME
  python3 -c 'import numpy; print(numpy.arange(5).sum())'
  echo "import.numpy $d $EPOCHREALTIME"
done`;
const IMPORT = ['python3', '-c', 'import numpy; print(numpy.arange(5).sum())'];
/** Samples of the bare trap and the bare touch. */
const BARE_SAMPLES = { trap: 200, touch: 5 };
/** Three test programs (static, shared, 64-bit offsets), and 0+1+2+3+4 ten times. */
const CHECKED = /^3\n(?:compile\S* \d+[.,]\d+ \d+[.,]\d+\n){3}(?:10\nimport\.numpy \d+[.,]\d+ \d+[.,]\d+\n){10}$/;
const NAMES = ['compile', 'compile.configure', 'compile.make', 'import.numpy'] as const;

/** The template that has a compiler, built when it is missing. */
export async function compilerTemplate(engine: Engine): Promise<Template> {
  const known = templateSpec(NAME, engine.home)?.image.packages ?? [];
  return PACKAGES.every((name) => known.includes(name)) ? await engine.template(NAME) : await engine.build(NAME, { packages: PACKAGES });
}

/** `samples`: builds on each side. */
export async function benchCompile(engine: Engine, samples: number, notes: string[]): Promise<Row[]> {
  const template = await compilerTemplate(engine);
  const source = readFileSync(await fetchSource(`${engine.home}/cache/apt-source`, PROJECT));
  const root = nativeRoot(engine.home);
  const here: Record<string, number[]> = {}, native: Record<string, number[]> = {};
  let hasNative = true;
  for (let i = 0; i < samples; i++) {
    add(here, await inSandbox(template, source));
    const printed = hasNative ? await natively(root, source) : null;
    if (printed === null) hasNative = false;
    else add(native, printed);
  }
  const floor = hasNative ? await floorRows(engine, template, native['import.numpy'] ?? []) : [];
  if (!hasNative) notes.push('unshare(1) may not make namespaces here: native rows are missing; as root it may');
  return [...NAMES.flatMap((name) => [
    row(name, 's', here[name]),
    ...(hasNative ? [row(`${name}.native`, 's', native[name]), ratio(`${name}.ratio`, here[name], native[name])] : []),
  ]), ...floor];
}

/** What the import would take if our kernel took no time: the native time, its traps, the first touches of the pages it makes its own. */
async function floorRows(engine: Engine, template: Template, native: readonly number[]): Promise<Row[]> {
  await using sandbox = await template.fork({ memoryBytes: MEMORY_BYTES });
  const { syscalls, dirtyPages, exitCode } = await sandbox.exec(IMPORT, { countPages: true, timeoutMs: TIMEOUT_MS });
  if (exitCode !== 0 || dirtyPages === null) throw new Error('importing numpy failed');
  const { kind } = await engine.selfTest();
  const bare = new BareTrap(kind === 'pvm' ? 'pvm' : 'hardware');
  const samples = (count: number, take: () => number): number[] => Array.from({ length: count }, take);
  const trap = row('import.numpy.trap', 'us', samples(BARE_SAMPLES.trap, () => bare.sample()).slice(BARE_SAMPLES.trap / 4));
  const touch = row('import.numpy.touch', 'us', samples(BARE_SAMPLES.touch, () => bare.touchSample()));
  bare.close();
  const extra = (syscalls * trap.p50 + dirtyPages * touch.p50) / 1e6;
  const floor = native.map((seconds) => seconds + extra);
  return [
    single('import.numpy.traps', 'calls', syscalls), single('import.numpy.pages', 'pages', dirtyPages), trap, touch,
    row('import.numpy.floor', 's', floor), ratio('import.numpy.floor.ratio', floor, native),
  ];
}

function add(times: Record<string, number[]>, printed: string): void {
  if (!CHECKED.test(printed)) throw new Error(`building ${PROJECT} printed ${JSON.stringify(printed)}`);
  for (const line of printed.split('\n').filter((each) => each.includes(' '))) {
    const [name, from, to] = line.split(' ');
    (times[name] ??= []).push(Number(to.replace(',', '.')) - Number(from.replace(',', '.')));
  }
}

async function inSandbox(template: Template, source: Uint8Array): Promise<string> {
  await using sandbox = await template.fork({ memoryBytes: MEMORY_BYTES });
  const result = await sandbox.exec(['bash', '-c', SCRIPT], { stdin: source, timeoutMs: TIMEOUT_MS });
  if (result.exitCode !== 0) throw new Error(`building ${PROJECT} failed: ${result.reason ?? result.stderr.toString()}`);
  return result.stdout.toString();
}

function nativeRoot(home: string): string {
  const ref = findImage(home, NAME);
  if (!ref) throw new Error(`the image of ${NAME} is not there`);
  const root = `${home}/cache/${NAME}-root-${ref.id.slice(0, 16)}`;
  unpackImage(openImage(home, ref.id), root);
  return root;
}

const CONTAINER = 'mount -t tmpfs -o mode=1777 tmpfs "$1/tmp" && mount --rbind /dev "$1/dev" && mount --rbind /proc "$1/proc" '
  + '&& root=$1 && shift && exec chroot "$root" /usr/bin/env -i "$@"';

/** What the script printed; null where there can be no native side. */
async function natively(root: string, source: Uint8Array): Promise<string | null> {
  const env = Object.entries(ENVIRONMENT).map(([name, value]) => `${name}=${value}`);
  const own = process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'];
  const child = spawn('unshare', [...own, '--mount', 'sh', '-c', CONTAINER, 'sh', root, ...env, 'bash', '-c', SCRIPT], {
    stdio: ['pipe', 'pipe', 'pipe'], timeout: TIMEOUT_MS,
  });
  child.stdin.on('error', () => {});
  child.stdin.end(source);
  const ended = new Promise<number | null>((resolve) => {
    child.on('error', () => resolve(null));
    child.on('close', resolve);
  });
  const [printed, complaint, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  if (code === 0) return printed;
  if (printed === '' && /^(unshare|mount|chroot):|^$/.test(complaint)) return null;
  throw new Error(`building ${PROJECT} natively failed: ${complaint}`);
}
