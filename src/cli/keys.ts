// `offshoot keys create|ls|revoke`: the file of API keys that `offshoot serve` reads. A running service hears of changes within a second.

import { mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { withLock } from '../image/lock.ts';
import { KeyFileError, isUsable, makeKey, readKeys, writeKeys, type KeyEntry, type KeyLimits } from '../server/keyfile.ts';
import { UsageError } from './fail.ts';
import { defaultKeyFile } from './serve.ts';
import { age, table } from './table.ts';

export interface KeyFlags {
  readonly keys?: string;
  readonly admin?: boolean;
  readonly expires?: string;
  readonly requestsPerMinute?: string;
  readonly concurrency?: string;
  readonly sandboxes?: string;
  readonly runsPerDay?: string;
  readonly cpuPerDay?: string;
  readonly json?: boolean;
}

const NAME_MAX = 100;

/** Prints the key, which is kept nowhere, on standard output, and about it on standard error. */
export async function create(name: string, flags: KeyFlags): Promise<void> {
  if (name.length > NAME_MAX || /[\x00-\x1f\x7f-\x9f]/.test(name)) throw new UsageError(`a key's name is a line of up to ${NAME_MAX} characters.`);
  const days = flags.expires === undefined ? null : Number(flags.expires);
  if (days !== null && !(days > 0 && days < 36_500)) throw new UsageError(`--expires needs a number of days above 0, not "${flags.expires}".`);
  const expires = days === null ? null : new Date(Date.now() + days * 86_400_000).toISOString();
  const { entry, key } = makeKey({ name, admin: flags.admin ?? false, expires_at: expires, limits: limitsOf(flags) });
  await change(flags, (keys) => [...keys, entry]);
  process.stderr.write(`offshoot: key ${entry.id} is made; it is shown this once:\n`);
  process.stdout.write(`${key}\n`);
}

function limitsOf(flags: KeyFlags): KeyLimits {
  const given: readonly (readonly [keyof KeyLimits, string, string | undefined, number])[] = [
    ['requests_per_minute', '--requests-per-minute', flags.requestsPerMinute, 1], ['concurrency', '--concurrency', flags.concurrency, 1],
    ['sandboxes', '--sandboxes', flags.sandboxes, 0], ['runs_per_day', '--runs-per-day', flags.runsPerDay, 0],
    ['cpu_seconds_per_day', '--cpu-per-day', flags.cpuPerDay, 0],
  ];
  return Object.fromEntries(given.filter(([, , text]) => text !== undefined).map(([name, flag, text, min]) => {
    const value = Number(text);
    if (text?.trim() === '' || !Number.isSafeInteger(value) || value < min) throw new UsageError(`${flag} needs a whole number from ${min}, not "${text}".`);
    return [name, value];
  }));
}

export async function list(flags: KeyFlags): Promise<void> {
  const keys = known(() => readKeys(pathOf(flags))) ?? [];
  if (flags.json) {
    for (const { hash: _hash, ...entry } of keys) process.stdout.write(`${JSON.stringify(entry)}\n`);
    return;
  }
  const rows = keys.map((entry) => [entry.id, entry.name, entry.admin ? 'admin' : 'tenant', age(entry.created_at), state(entry)]);
  process.stdout.write(table(['ID', 'NAME', 'ROLE', 'AGE', 'STATE'], rows));
}

function state(entry: KeyEntry): string {
  if (entry.revoked_at !== null) return 'revoked';
  return isUsable(entry) ? entry.expires_at === null ? 'valid' : `valid until ${entry.expires_at.slice(0, 10)}` : 'expired';
}

export async function revoke(id: string, flags: KeyFlags): Promise<void> {
  await change(flags, (keys) => {
    const entry = keys.find((each) => each.id === id);
    if (!entry) throw new UsageError(`there is no key "${id.slice(0, NAME_MAX)}": "offshoot keys ls" lists them.`);
    return keys.map((each) => (each === entry ? { ...entry, revoked_at: entry.revoked_at ?? new Date().toISOString() } : each));
  });
}

function pathOf({ keys }: KeyFlags): string {
  return keys === undefined ? defaultKeyFile() : resolve(keys);
}

async function change(flags: KeyFlags, edit: (keys: readonly KeyEntry[]) => readonly KeyEntry[]): Promise<void> {
  const path = pathOf(flags);
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
    await withLock(dirname(path), async () => known(() => writeKeys(path, edit(readKeys(path) ?? []))));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw code === undefined ? error : new UsageError(`the key file ${path} cannot be written (${code}).`);
  }
}

function known<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw error instanceof KeyFileError ? new UsageError(error.message) : error;
  }
}
