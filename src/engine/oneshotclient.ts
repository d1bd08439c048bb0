// The builder's end of the process in which the programs of an image run while it is built (freezeprocess.ts). What they print comes in
// a file; whoever asked checks it.

import { closeSync, fstatSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { makeDirectories } from '../image/home.ts';
import type { Image } from '../image/store.ts';
import { OffshootError } from './errors.ts';
import { askConfined } from './freezeclient.ts';
import type { OneShot, OneShotEnd } from './oneshot.ts';

/** What to run, and who takes what it prints. */
export interface ConfinedShot extends Omit<OneShot, 'stdin' | 'onStdout'> {
  /** Standard input. */
  readonly stdin?: readonly Uint8Array[];
  /** Valid during the call only. */
  readonly onStdout: (bytes: Uint8Array) => void;
}

const PIECE_BYTES = 1 << 20;

/** Runs a program of the image to its end. Throws OffshootError when it waits for something that cannot come. */
export function runConfined(home: string, image: Image, { stdin = [], onStdout, ...shot }: ConfinedShot): OneShotEnd {
  const input = unnamedFile(home), output = unnamedFile(home);
  try {
    for (const bytes of stdin) writeAll(input, bytes);
    const { end } = askConfined(home, { ...shot, imageId: image.id }, image, [output, input]);
    const { exitCode, stderr } = end as Partial<OneShotEnd> ?? {};
    if (!Number.isInteger(exitCode) || typeof stderr !== 'string') {
      throw new OffshootError('internal', 'A process that runs a program of the image said something that cannot be.');
    }
    const buffer = Buffer.alloc(PIECE_BYTES);
    const size = fstatSync(output).size;
    for (let at = 0, length; at < size; at += length) {
      length = readSync(output, buffer, 0, PIECE_BYTES, at);
      onStdout(buffer.subarray(0, length));
    }
    return { exitCode: exitCode as number, stderr };
  } finally {
    closeSync(input);
    closeSync(output);
  }
}

/** Gone when it is closed, however this process ends. */
function unnamedFile(home: string): number {
  makeDirectories(`${home}/cache`, 0o700);
  const dir = mkdtempSync(`${home}/cache/shot-`);
  try {
    return openSync(join(dir, 'file'), 'wx+', 0o600);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function writeAll(fd: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at);
}
