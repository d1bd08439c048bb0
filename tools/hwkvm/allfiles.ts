// Which test files `--all` runs in the emulated machines, in which order, and which it leaves out and why (docs/hwkvm.md).
//
//   allFiles(parts) → { files, left }

import { globSync } from 'node:fs';
import { ROOT } from './base.ts';
import type { QueuedFile } from './queue.ts';

/** All that need KVM, but those that only run by name. */
const GROUPS = ['hwkvm/*', 'kvm/*', 'conformance/*', 'server/*', 'programs/fast', 'compat/*'].map(files => `test/${files}.test.ts`);

/** Left out, by name or its beginning. */
const LEFT_OUT: Readonly<Record<string, string>> = {
  'test/kvm/cli': 'starts the command a hundred times, which would take an hour',
  'test/kvm/template': 'builds template after template, which would take an hour',
  'test/kvm/orphans': 'starts the command again and again, and needs the network',
  'test/kvm/tenants': 'about worker processes, whatever KVM is below: a quarter of an hour',
  'test/kvm/layouts': 'builds template after template, which would take an hour',
  'test/kvm/rotation': 'builds template after template, which would take an hour',
  'test/kvm/leak': 'hundreds of runs, which would take an hour',
  'test/kvm/soak': 'hundreds of runs, which would take an hour',
  'test/kvm/branchguard': 'the engine waits less long for memory than a guest in there needs to give it back',
  'test/kvm/forkprotocol': 'needs a compiler',
  'test/kvm/kernel': 'needs a compiler',
  'test/kvm/bench': 'needs a compiler',
  'test/kvm/first': 'needs the network',
  'test/kvm/homewrong': 'needs the network',
  'test/server/': 'about HTTP, whatever KVM is below',
  'test/programs/': 'needs programs and an image that are not in there',
  'test/compat/': 'needs Python and an image that are not in there',
};

/** The slowest, which begin first so that no machine is left with one of them at the end. */
const SLOWEST = [
  'conformance/others', 'kvm/branchmemory', 'kvm/examples', 'conformance/events', 'conformance/programs', 'kvm/forged', 'kvm/hostile', 'kvm/fuzzcalls',
  'conformance/files', 'kvm/confine', 'kvm/statefulprocess', 'kvm/statefulhostile', 'kvm/rewind',
].map(name => `test/${name}.test.ts`);

/** For one file, without OFFSHOOT_TEST_SLOW; the runner inside ends it by itself. */
const LIMIT_SECONDS = 200;
const SLOW = 6;
/** Longer than the runner's limit. */
const HUNG_MS = (LIMIT_SECONDS * SLOW + 120) * 1000;

interface AllFiles { readonly files: readonly QueuedFile[]; readonly left: readonly { readonly file: string; readonly reason: string }[] }

/** The files, or those whose path contains one of `parts`, in the order in which to start them, and those that are left out. */
export function allFiles(parts: readonly string[]): AllFiles {
  const files: QueuedFile[] = [];
  const left: { file: string; reason: string }[] = [];
  for (const file of GROUPS.flatMap(pattern => globSync(pattern, { cwd: ROOT }).sort())) {
    if (parts.length > 0 && !parts.some(part => file.includes(part))) continue;
    const [, reason] = Object.entries(LEFT_OUT).find(([beginning]) => file.startsWith(beginning)) ?? [];
    if (reason !== undefined) left.push({ file, reason });
    else files.push({ file, command: `node tools/test.ts ${file} --timeout ${LIMIT_SECONDS}`, timeoutMs: HUNG_MS });
  }
  const rank = ({ file }: QueuedFile): number => (SLOWEST.includes(file) ? SLOWEST.indexOf(file) : SLOWEST.length);
  return { files: files.sort((a, b) => rank(a) - rank(b)), left };
}
