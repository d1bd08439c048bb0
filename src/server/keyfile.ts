// The file of API keys: who may use the service, and how much. It holds hashes only: a key is shown once, when it is made. A key is
// `osk_ID_SECRET`; the secret has 256 random bits, so one SHA-256 is as good as a slow hash.

import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { chmodSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';

/** What one key may use; absent: what the service's settings say. */
export interface KeyLimits {
  readonly requests_per_minute?: number;
  /** Runs at a time. */
  readonly concurrency?: number;
  /** Live sandboxes. */
  readonly sandboxes?: number;
  /** Per day of UTC; 0: any number. */
  readonly runs_per_day?: number;
  readonly cpu_seconds_per_day?: number;
}

/** One key as the file has it. */
export interface KeyEntry {
  /** Also the tenant of the engine. */
  readonly id: string;
  readonly name: string;
  /** SHA-256 of the secret, in hexadecimal. */
  readonly hash: string;
  /** It may build and remove templates and read the metrics. */
  readonly admin: boolean;
  readonly created_at: string;
  readonly expires_at: string | null;
  readonly revoked_at: string | null;
  readonly limits: KeyLimits;
}

/** A key file that cannot be used: one sentence. */
export class KeyFileError extends Error {}

const ID = /^[a-z0-9]{12}$/;
const KEY = /^osk_([a-z0-9]{12})_([A-Za-z0-9_-]{43})$/;
const LIMITS = ['requests_per_minute', 'concurrency', 'sandboxes', 'runs_per_day', 'cpu_seconds_per_day'] as const;

/** Reads the file; null when there is none. Throws KeyFileError. */
export function readKeys(path: string): KeyEntry[] | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return null;
    throw new KeyFileError(`The key file ${path} cannot be read (${code}).`);
  }
  try {
    const { version, keys } = JSON.parse(text) as { version?: unknown; keys?: unknown };
    if (version === 1 && Array.isArray(keys) && keys.every(isEntry)) return keys;
  } catch { /* below */ }
  throw new KeyFileError(`The key file ${path} is damaged: restore it, or remove it and create new keys.`);
}

function isEntry(value: unknown): value is KeyEntry {
  if (typeof value !== 'object' || value === null) return false;
  const { id, name, hash, admin, expires_at: expires, revoked_at: revoked, limits } = value as Record<string, unknown>;
  return typeof id === 'string' && ID.test(id) && typeof name === 'string' && typeof hash === 'string' && /^[0-9a-f]{64}$/.test(hash)
    && typeof admin === 'boolean' && isTime(expires) && isTime(revoked) && typeof limits === 'object' && limits !== null
    && LIMITS.every((limit) => isCount((limits as Record<string, unknown>)[limit]));
}

function isTime(value: unknown): boolean {
  return value === null || (typeof value === 'string' && !Number.isNaN(Date.parse(value)));
}

function isCount(value: unknown): boolean {
  return value === undefined || (Number.isSafeInteger(value) && (value as number) >= 0);
}

/** Writes the file aside and renames it. Mode 0600. */
export function writeKeys(path: string, keys: readonly KeyEntry[]): void {
  const aside = `${path}.${process.pid}.tmp`;
  try {
    writeFileSync(aside, `${JSON.stringify({ version: 1, keys }, null, 2)}\n`, { mode: 0o600 });
    chmodSync(aside, 0o600);
    renameSync(aside, path);
  } catch (error) {
    rmSync(aside, { force: true });
    throw new KeyFileError(`The key file ${path} cannot be written (${(error as NodeJS.ErrnoException).code}).`);
  }
}

/** A new key: what to keep, and what to show once. */
export function makeKey(init: Pick<KeyEntry, 'name' | 'admin' | 'expires_at' | 'limits'>): { readonly entry: KeyEntry; readonly key: string } {
  const id = Array.from(randomBytes(12), (byte) => (byte % 36).toString(36)).join('');
  const secret = randomBytes(32).toString('base64url');
  return { key: `osk_${id}_${secret}`, entry: { id, hash: hashOf(secret).toString('hex'), created_at: new Date().toISOString(), revoked_at: null, ...init } };
}

/** The entry a key belongs to, if it is valid now. Takes the same time whether the id is known or not. */
export function matchKey(keys: ReadonlyMap<string, KeyEntry>, key: string, nowMs = Date.now()): KeyEntry | null {
  const [, id = '', secret = ''] = KEY.exec(key) ?? [];
  const entry = keys.get(id);
  const isSame = timingSafeEqual(hashOf(secret), Buffer.from(entry?.hash ?? '0'.repeat(64), 'hex'));
  return entry && isSame && isUsable(entry, nowMs) ? entry : null;
}

export function isUsable({ revoked_at: revoked, expires_at: expires }: KeyEntry, nowMs = Date.now()): boolean {
  return revoked === null && (expires === null || Date.parse(expires) > nowMs);
}

function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
