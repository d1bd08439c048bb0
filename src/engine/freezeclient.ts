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
  const self = fileURLToPath(import.meta.url);
  const entry = self.replace(/(freezeclient|builderprocess|chunk-\w+)\.(ts|js)$/, 'freezeprocess.$2');
  const files = [openSync(image.indexPath, 'r'), openSync(image.blobPath, 'r')];
  try {
    const { stdout, status, signal } = spawnSync(process.execPath, ['--no-warnings', entry, home, String(process.pid)], {
      stdio: ['pipe', 'pipe', 'inherit', ...files, output], input: JSON.stringify(job), maxBuffer: ANSWER_BYTES_MAX, env: workerEnvironment(home),
    });
    const how = signal ?? `exit code ${status}`;
    if (status !== 0) throw new OffshootError('worker-lost', `The process that freezes templates ended (${how}) before it was done.`);
    return checked(stdout, output);
  } finally {
    files.forEach((fd) => closeSync(fd));
  }
}

function checked(stdout: Buffer, output: number): Frozen {
  const wrong = (): OffshootError => new OffshootError('internal', 'The process that freezes templates sent something that cannot be.');
  let answer: Partial<Record<'frozen' | 'error', Record<string, unknown>>>;
  try {
    answer = JSON.parse(stdout.toString()) as typeof answer;
  } catch {
    throw wrong();
  }
  const { error, frozen } = answer as Partial<Extract<FromFreezer, { frozen: unknown }> & Extract<FromFreezer, { error: unknown }>>;
  if (error) throw isErrorCode(error.code) ? new OffshootError(error.code, String(error.message).slice(0, 1000)) : wrong();
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
