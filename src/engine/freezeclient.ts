// The builder's end of the process that freezes a template's program (freezeprocess.ts). What comes back was made where a foreign
// program ran: it is checked field by field, as what workers send is.

import { spawnSync } from 'node:child_process';
import { closeSync, fstatSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Image } from '../image/store.ts';
import { OffshootError, isErrorCode } from './errors.ts';
import type { FreezeJob, Frozen, FromFreezer } from './freeze.ts';
import { workerEnvironment } from './workerprocess.ts';

const ANSWER_BYTES_MAX = 4 << 20;

/** Freezes `job` on `image` into the file `output`. Throws OffshootError. */
export function freezeConfined(home: string, job: FreezeJob, image: Image, output: number): Frozen {
  return checked(askConfined(home, job, image, [output]), output);
}

/**
 * What the process that does `job` with `image` says, an object whose fields nobody has looked at; `files`: what it has open beside the
 * image. Throws OffshootError, its own too.
 */
export function askConfined(home: string, job: object, image: Image, files: readonly number[]): Readonly<Record<string, unknown>> {
  const self = fileURLToPath(import.meta.url);
  const entry = self.replace(/(freezeclient|builderprocess|chunk-\w+)\.(ts|js)$/, 'freezeprocess.$2');
  const parts = [openSync(image.indexPath, 'r'), openSync(image.blobPath, 'r')];
  try {
    const { stdout, status, signal } = spawnSync(process.execPath, ['--no-warnings', entry, home, String(process.pid)], {
      stdio: ['pipe', 'pipe', 'inherit', ...parts, ...files], input: JSON.stringify({ ...job, indexBytes: fstatSync(parts[0]).size }),
      maxBuffer: ANSWER_BYTES_MAX, env: workerEnvironment(home),
    });
    const how = signal ?? `exit code ${status}`;
    if (status !== 0) throw new OffshootError('worker-lost', `The process that freezes templates ended (${how}) before it was done.`);
    return answerOf(stdout);
  } finally {
    parts.forEach((fd) => closeSync(fd));
  }
}

const wrong = (): OffshootError => new OffshootError('internal', 'The process that freezes templates sent something that cannot be.');

function answerOf(stdout: Buffer): Readonly<Record<string, unknown>> {
  let answer: Readonly<Record<string, unknown>> | null;
  try {
    answer = JSON.parse(stdout.toString()) as typeof answer;
  } catch {
    throw wrong();
  }
  const { error } = (answer ?? {}) as Partial<Extract<FromFreezer, { error: unknown }>>;
  if (error) throw isErrorCode(error.code) ? new OffshootError(error.code, String(error.message).slice(0, 1000)) : wrong();
  return answer ?? {};
}

function checked(answer: Readonly<Record<string, unknown>>, output: number): Frozen {
  const { frozen } = answer as Partial<Extract<FromFreezer, { frozen: unknown }>>;
  if (!frozen) throw wrong();
  const { shared, random, sha256, memoryBytes, stateBytes } = frozen;
  if (!isWhole(memoryBytes) || !isWhole(stateBytes) || memoryBytes + stateBytes !== fstatSync(output).size) throw wrong();
  const isShared = shared === null || (isWhole(shared.gpa) && isWhole(shared.sizeBytes) && shared.gpa + shared.sizeBytes === memoryBytes);
  if (!isShared || !/^[0-9a-f]{64}$/.test(sha256) || !Array.isArray(random) || !random.flat().every(isWhole)) throw wrong();
  return frozen;
}

function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
