// What the service's tests share: a real service in this process on a free port, requests by fetch or by bytes on a socket.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { after } from 'node:test';
import { offshootHome } from '../../src/image/home.ts';
import { makeKey, writeKeys, type KeyEntry, type KeyLimits } from '../../src/server/keyfile.ts';
import { settingsOf } from '../../src/server/settings.ts';
import { startService, type Running } from '../../src/server/start.ts';

const running: Running[] = [];
const directories: string[] = [];
after(async () => {
  for (const each of running) await each.stop(0);
  for (const dir of directories) rmSync(dir, { recursive: true, force: true });
});

export interface TestService extends Running {
  /** What it logged, one object per line. */
  readonly log: Record<string, unknown>[];
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>;
  get(path: string, headers?: Record<string, string>): Promise<Answer>;
  request(method: string, path: string, init?: RequestInit): Promise<Answer>;
}

export interface Answer { readonly status: number; readonly headers: Headers; readonly text: string; readonly json: Record<string, never> }

export function newDirectory(): string {
  const dir = mkdtempSync(join(tmpdir(), 'offshoot-server-'));
  directories.push(dir);
  return dir;
}

/** Starts one with these settings; ends with the test file. */
export async function newService(settings: Record<string, unknown> = {}, keyFile: string | null = null): Promise<TestService> {
  const log: Record<string, unknown>[] = [];
  const logTo = new Writable({
    write(chunk: Buffer, _encoding, done) {
      for (const line of chunk.toString().trim().split('\n')) log.push(JSON.parse(line) as Record<string, unknown>);
      done();
    },
  });
  const service = await startService({ settings: settingsOf({ port: 0, workers: 1, ...settings }, {}, {}), home: offshootHome(), keyFile, logTo });
  running.push(service);
  const request = async (method: string, path: string, init: RequestInit = {}): Promise<Answer> => {
    const response = await fetch(service.url + path, { method, ...init });
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.startsWith('application/json') ?? false;
    return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) as Record<string, never> : {} };
  };
  return {
    ...service, log, request,
    post: (path, body, headers = {}) => request('POST', path, { body: JSON.stringify(body), headers: { 'content-type': 'application/json', ...headers } }),
    get: (path, headers = {}) => request('GET', path, { headers }),
  };
}

type KeyInit = Partial<Pick<KeyEntry, 'admin' | 'expires_at'>> & { readonly limits?: KeyLimits };

/** A key file with such keys; `keys` are what clients send. */
export function newKeys(...inits: readonly KeyInit[]): { file: string; keys: string[]; entries: KeyEntry[] } {
  const made = inits.map((init) => makeKey({ name: 'test', admin: false, expires_at: null, limits: {}, ...init }));
  const file = join(newDirectory(), 'keys.json');
  const entries = made.map(({ entry }) => entry);
  writeKeys(file, entries);
  return { file, keys: made.map(({ key }) => key), entries };
}

export function bearer(key: string): Record<string, string> {
  return { authorization: `Bearer ${key}` };
}

/** Sends bytes as they are, and reads until the other side closes or `ms` have passed. */
export function raw(url: string, pieces: readonly (string | Buffer)[], ms = 5000): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    let got = '';
    const socket = connect(Number(port), hostname, () => pieces.forEach((piece) => socket.write(piece)));
    const done = (): void => {
      socket.destroy();
      resolve(got);
    };
    socket.setTimeout(ms, done);
    socket.on('data', (bytes) => (got += bytes.toString())).on('close', done).on('error', done);
  });
}

/** Waits until it holds; fails after `ms`. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, ms = 20_000): Promise<void> {
  const end = performance.now() + ms;
  while (!(await holds())) {
    assert.ok(performance.now() < end, `${what}: not after ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** The events of a whole NDJSON answer. */
export function events(text: string): Record<string, never>[] {
  return text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as Record<string, never>);
}
