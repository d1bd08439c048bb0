// How a soak judges answers: what a busy machine does is right, and each wrong, crossed or cut-off answer is seen.

import assert from 'node:assert/strict';
import test from 'node:test';
import type { Engine, RunInit, RunResult } from '../../src/engine/index.ts';
import { HostShort } from '../../tools/soakjudge.ts';
import { pick } from '../../tools/soakkinds.ts';

const NONCE = 'b5a1ab5e-0000-4000-8000-000000000000', OTHER = NONCE.replace('b5', 'c6');

/** An engine that answers each run with this. */
function answering(answer: Partial<RunResult>): Engine {
  const result = { stdout: Buffer.alloc(0), stderr: Buffer.alloc(0), exitCode: 0, limit: null, reason: null, collected: new Map(), ...answer } as RunResult;
  const run = (_template: string, _program: unknown, { onStdout }: RunInit): Promise<RunResult> => {
    if (result.stdout.length > 0) onStdout?.(result.stdout);
    return Promise.resolve(result);
  };
  return { run, exec: run } as unknown as Engine;
}

const judge = (kind: string, answer: Partial<RunResult>): Promise<string | null> =>
  pick([kind]).work({ engine: answering(answer), tenant: 'a', nonce: NONCE });

const text = (stdout: string): { readonly stdout: Buffer } => ({ stdout: Buffer.from(stdout) });

const STOPPED = [['timeout', 124, 'timeout'], ['cpu', 137, 'cpu'], ['cancel', 130, 'cancelled']] as const;

for (const [kind, exitCode, limit] of STOPPED) {
  test(`${kind}: what was printed by then may be any beginning, and nothing else`, async () => {
    const whole = `${NONCE}\n`;
    const isRight = async (stdout: string): Promise<boolean> => await judge(kind, { ...text(stdout), exitCode, limit }) === null;
    for (const stdout of [whole, NONCE, NONCE.slice(0, 3)]) assert.ok(await isRight(stdout), stdout);
    assert.equal(await isRight(''), kind !== 'cancel', 'a cancellation came with output');
    for (const stdout of [`${OTHER}\n`, `${whole}${whole}`, NONCE.slice(1)]) assert.ok(!await isRight(stdout), stdout);
    assert.notEqual(await judge(kind, { ...text(whole), exitCode: 0, limit }), null);
    assert.notEqual(await judge(kind, { ...text(whole), exitCode, limit: null }), null);
    assert.notEqual(await judge(kind, { ...text(whole), exitCode, limit: 'output' }), null);
  });
}

test('a run that ends by itself must have printed all of it', async () => {
  const answers: readonly (readonly [string, string, number])[] = [
    ['print', `${NONCE}\n`, 0], ['reuse', `${NONCE}\n`, 0], ['echo', `${NONCE}\n`, 0], ['numpy', `${NONCE} 50000\n`, 0], ['exit', `${NONCE}\n`, 7],
    ['error', `${NONCE}\n`, 1], ['crash', `${NONCE}\n`, 139], ['stdin', `${NONCE}\n`.repeat(2000), 0], ['long', `${NONCE}\n`.repeat(20_000), 0],
    ['memory', `${NONCE}\n${36 * 2 ** 20}\n`, 0], ['residue', `${NONCE} [False, None, [], False, '/home/user', False, False, '']\n`, 0],
  ];
  for (const [kind, stdout, exitCode] of answers) {
    assert.equal(await judge(kind, { ...text(stdout), exitCode }), null, kind);
    for (const wrong of ['', stdout.slice(0, -1), stdout.replace(NONCE, OTHER), stdout + stdout]) {
      assert.notEqual(await judge(kind, { ...text(wrong), exitCode }), null, kind);
    }
    assert.notEqual(await judge(kind, { ...text(stdout), exitCode: exitCode + 1 }), null, kind);
    assert.notEqual(await judge(kind, { ...text(stdout), exitCode, limit: 'timeout' }), null, kind);
  }
  const left = `${NONCE} [False, None, ['left'], False, '/home/user', False, False, '']\n`;
  assert.notEqual(await judge('residue', text(left)), null);
});

test('files that were copied out are compared', async () => {
  const files = (nonce: string): Map<string, Buffer> => new Map(['a', 'b'].map((name) => [`/home/user/${name}`, Buffer.from(name + nonce.repeat(1000))]));
  assert.equal(await judge('files', { ...text(`${NONCE}\n`), collected: files(NONCE) }), null);
  assert.notEqual(await judge('files', { ...text(`${NONCE}\n`), collected: files(OTHER) }), null);
  assert.notEqual(await judge('files', text(`${NONCE}\n`)), null);
});

test('an abort may come too late for a run that ends, and for no other', async () => {
  for (let i = 0; i < 50; i++) assert.equal(await judge('abort', { exitCode: 130, limit: 'cancelled' }), null);
  const ended = await Promise.all(Array.from({ length: 50 }, () => judge('abort', text(`${NONCE}\n`))));
  assert.ok(ended.includes(null) && ended.some((each) => each !== null));
});

test('a run that was ended because the host is short of memory tells nothing', async () => {
  for (const kind of ['print', 'timeout', 'residue']) await assert.rejects(judge(kind, { exitCode: 137, limit: 'memory' }), HostShort);
});
