// The programs: scripts in cases/, what their heads say, and how one is run on either side. Head lines: `# key: value`.
//   image: programs | science   (default programs)
//   slow: yes                   (left out of a plain `npm test`)
//   timeout: seconds            (default 120; natively and in a sandbox)
//   memory: MiB                 (default 1024)
//   exit: code                  (default 0; natively too, or the case proves nothing)

import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { KvmHost } from '../../src/engine/kvmhost.ts';
import { offshootHome } from '../../src/image/home.ts';
import { nativeRoot } from '../../tools/sides/image.ts';
import { runNatively } from '../../tools/sides/native.ts';
import type { Program } from '../../tools/sides/program.ts';
import { runInSandbox } from '../../tools/sides/sandbox.ts';
import { imageOf, type ImageName } from './image.ts';

export interface Case {
  readonly name: string;
  readonly image: ImageName;
  readonly slow: boolean;
  /** What it ends with. */
  readonly exitCode: number;
  readonly program: Program;
}

/** What a run left; equal on both sides, apart from the times. */
export interface Outcome {
  readonly stdout: string;
  readonly stderr: string;
  /** Exit code, 128 + signal; null when its time was up. */
  readonly exitCode: number | null;
}

/** bash names processes that a signal killed by pid, which depends on how many there were before. */
function withoutPids(stderr: string): string {
  return stderr.replace(/(: line \d+:\s+)\d+( +\D)/g, '$1PID$2');
}

export interface Timed { readonly outcome: Outcome; readonly timeMs: number; readonly notes: string }

const CASES = join(import.meta.dirname, 'cases');
/**
 * Puts the script's text into a file and runs it in an empty directory on a tmpfs. Not called as the case is: Python finds modules beside
 * the script, and one called pandas.py is not the pandas it is to import.
 */
const START = `umask 022
export HOME=/tmp/case TZ=UTC text=$1
mkdir -p /tmp/case/work && cd /tmp/case/work && printf %s "$text" > ../script && unset text && shift && exec "$@" ../script </dev/null`;
const INTERPRETERS: Readonly<Record<string, readonly string[]>> = { sh: ['/bin/bash'], py: ['/usr/bin/python3'], pl: ['/usr/bin/perl'] };

function readCase(file: string): Case {
  const text = readFileSync(join(CASES, file), 'utf8');
  const directive = (key: string): string | undefined => new RegExp(`^# ${key}: (.*)$`, 'm').exec(text)?.[1];
  const [name, extension] = file.split('.');
  const timeoutMs = Number(directive('timeout') ?? 120) * 1000 * Number(process.env['OFFSHOOT_TEST_SLOW'] ?? '1');
  return {
    name, image: directive('image') === 'science' ? 'science' : 'programs', slow: directive('slow') === 'yes',
    exitCode: Number(directive('exit') ?? 0),
    program: {
      argv: ['/bin/bash', '-c', START, 'bash', text, ...INTERPRETERS[extension]],
      timeoutMs, memoryBytes: Number(directive('memory') ?? 1024) << 20,
    },
  };
}

/** Every program, by name. */
export function loadCases(): Case[] {
  return readdirSync(CASES).sort().map(readCase);
}

/** Whether programs can be run natively in the image's own root; the reason when not. */
export function cannotRun(): string | null {
  return process.getuid?.() === 0 ? null : 'only root can change into the image\'s files';
}

/** Runs programs on both sides of one image. */
export class Sides {
  private readonly home: string;
  private readonly imageId: string;
  private readonly root: string;

  private constructor(home: string, imageId: string, root: string) {
    this.home = home;
    this.imageId = imageId;
    this.root = root;
  }

  static async open(name: ImageName): Promise<Sides> {
    const home = offshootHome();
    const image = await imageOf(KvmHost.open(home), name);
    return new Sides(home, image.id, nativeRoot(home, name, image));
  }

  async native({ program }: Case): Promise<Timed> {
    const output = ['', '', ''];
    const { exitCode, timeMs } = await runNatively(this.root, program, (stream, text) => void (output[stream] += text));
    return { outcome: { stdout: output[1], stderr: withoutPids(output[2]), exitCode }, timeMs, notes: '' };
  }

  async sandbox({ program }: Case): Promise<Timed> {
    const output = ['', '', ''];
    const { exitCode, timeMs, reason, unimplemented } = await runInSandbox(this.home, this.imageId, program,
      (stream, text) => void (output[stream] += text));
    const stderr = withoutPids(output[2]) + (reason === null ? '' : `[${reason}]`);
    return { outcome: { stdout: output[1], stderr, exitCode }, timeMs, notes: Object.entries(unimplemented).map(String).join(' ') };
  }
}
