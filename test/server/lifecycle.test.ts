// `offshoot serve` and `offshoot keys` as commands: start, settings, orderly end, second signal, SIGKILL, a second one on the port.

import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MAIN, offshoot } from '../kvm/clihelp.ts';
import { allGone, commandLine, descendants } from '../kvm/prochelp.ts';
import { events, newDirectory, until } from './serverhelp.ts';

interface Served { readonly child: ChildProcess; readonly url: string; readonly ended: Promise<number | string>; log(): string }

async function serve(args: readonly string[], env: Record<string, string> = {}): Promise<Served> {
  const child = spawn(process.execPath, ['--no-warnings', MAIN, 'serve', '--port', '0', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env },
  });
  let log = '';
  child.stderr?.on('data', (bytes: Buffer) => (log += bytes.toString()));
  const ended = new Promise<number | string>((resolve) => child.on('exit', (code, signal) => resolve(signal ?? code ?? -1)));
  await until('it listens', () => /"url":"[^"]+"/.test(log) || child.exitCode !== null, 30_000);
  return { child, url: /"url":"([^"]+)"/.exec(log)?.[1] ?? '', ended, log: () => log };
}

function exec(url: string, body: object, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}/v1/exec`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(body) });
}

/** Whether it takes no runs any more. */
function refuses(url: string): Promise<boolean> {
  return exec(url, { code: '1' }).then(({ status }) => status === 503, () => true);
}

test('SIGTERM: no new connections, what runs ends and is answered, then it exits with 0 and leaves nothing', async () => {
  const { child, url, ended } = await serve([]);
  const running = exec(url, { code: 'import time; time.sleep(1.5); print("done")' });
  await until('it runs', async () => /offshoot_live_sandboxes 1/.test(await (await fetch(`${url}/v1/metrics`)).text()));
  const started = descendants(child.pid as number);
  child.kill('SIGTERM');
  await until('it refuses others', () => refuses(url));
  assert.equal(((await (await running).json()) as { stdout: string }).stdout, 'done\n');
  assert.equal(await ended, 0);
  assert.ok(await allGone(started), started.map(commandLine).join());
});

test('after the deadline what still runs is cancelled and answered', async () => {
  const { child, url, ended } = await serve([], { OFFSHOOT_DRAIN_SECONDS: '0.5' });
  const running = await exec(url, { code: 'print(1, flush=True)\nwhile True: pass' }, { accept: 'application/x-ndjson' }); // it has printed
  child.kill('SIGTERM');
  const [first, last] = events(await running.text()) as unknown as { text?: string; result?: { ended: string } }[];
  assert.deepEqual([first.text, last.result?.ended, await ended], ['1\n', 'cancelled', 0]);
});

test('a second signal ends it at once; SIGKILL too; nothing is left, and the next start is clean', async () => {
  for (const signals of [['SIGINT', 'SIGINT'], ['SIGKILL']] as const) {
    const { child, url, ended } = await serve([]);
    const running = exec(url, { code: 'while True: pass' }).catch(() => null);
    await until('it runs', async () => /offshoot_live_sandboxes 1/.test(await (await fetch(`${url}/v1/metrics`)).text()));
    const started = descendants(child.pid as number);
    child.kill(signals[0]);
    await until('it refuses others', () => refuses(url));
    if (signals.length > 1) child.kill(signals[1]);
    assert.equal(await ended, signals.length === 2 ? 1 : 'SIGKILL');
    assert.equal(await running, null);
    assert.ok(await allGone(started), started.map(commandLine).join());
  }
  const { child, url, ended } = await serve([]);
  assert.equal(((await (await exec(url, { code: 'print(1)' })).json()) as { stdout: string }).stdout, '1\n');
  child.kill('SIGTERM');
  assert.equal(await ended, 0);
});

test('a second one on the port is refused with one sentence', async () => {
  const { child, url, ended } = await serve([]);
  const { port } = new URL(url);
  const { code, stderr } = await offshoot(['serve', '--port', port]);
  assert.deepEqual([code, stderr], [2, `offshoot: The service cannot listen on 127.0.0.1 port ${port}: another program listens there. [bad-argument]\n`]);
  assert.equal((await fetch(`${url}/v1/health`)).status, 200);
  child.kill('SIGTERM');
  assert.equal(await ended, 0);
});

test('keys: made once, listed without secrets, used, revoked while it serves', async () => {
  const file = join(newDirectory(), 'keys.json');
  const made = await offshoot(['keys', 'create', 'alice', '--keys', file, '--concurrency', '2', '--expires', '1']);
  const key = made.stdout.toString().trim();
  assert.match(key, /^osk_[a-z0-9]{12}_[\w-]{43}$/);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const { child, url, ended } = await serve(['--keys', file]);
  const status = async (): Promise<number> => (await exec(url, { code: 'print(1)' }, { authorization: `Bearer ${key}` })).status;
  assert.deepEqual([await status(), (await exec(url, { code: '1' })).status], [200, 401]);
  const listed = (await offshoot(['keys', 'ls', '--keys', file])).stdout.toString();
  assert.match(listed, /alice +tenant +\d+ s +valid until/);
  assert.ok(!listed.includes(key.slice(17)));
  const [, id] = key.split('_');
  assert.equal((await offshoot(['keys', 'revoke', id, '--keys', file])).code, 0);
  await until('it is refused', async () => (await status()) === 401);
  child.kill('SIGTERM');
  assert.equal(await ended, 0);
  for (const [args, sentence] of [
    [['revoke', 'nope'], 'there is no key "nope": "offshoot keys ls" lists them.'],
    [['create', 'x', '--concurrency', '0'], '--concurrency needs a whole number from 1, not "0".'],
    [['create', 'x', '--expires', 'soon'], '--expires needs a number of days above 0, not "soon".'],
  ] as const) {
    const { code, stderr } = await offshoot(['keys', ...args, '--keys', file]);
    assert.deepEqual([code, stderr], [2, `offshoot: ${sentence} [bad-argument]\n`]);
  }
});

test('settings: flags over environment over file; what cannot be is one sentence', async () => {
  const config = join(newDirectory(), 'config.json');
  writeFileSync(config, JSON.stringify({ timeout_seconds_max: 7, output_mb_max: 1, log_level: 'warn' }));
  const { child, url, ended } = await serve(['--config', config], { OFFSHOOT_TIMEOUT_SECONDS_MAX: '5', OFFSHOOT_LOG_LEVEL: 'info' });
  const refusal = async (body: object): Promise<string> => ((await (await exec(url, body)).json()) as { error: string }).error;
  assert.equal(await refusal({ code: '1', timeout_seconds: 6 }), 'timeout_seconds may be 5 at most.');
  assert.equal(await refusal({ code: '1', output_mb: 2 }), 'output_mb may be 1 at most.');
  child.kill('SIGTERM');
  assert.equal(await ended, 0);
  writeFileSync(config, '{"prot": 1}');
  const wrong = async (args: string[], env = {}): Promise<string> => {
    const { code, stderr } = await offshoot(['serve', ...args], { env });
    assert.equal(code, 2, stderr);
    return stderr;
  };
  assert.equal(await wrong(['--config', config]), 'offshoot: The config file has "prot", which is no setting: docs/service.md lists them. [bad-argument]\n');
  assert.equal(await wrong(['--port', 'x']), 'offshoot: --port must be a whole number from 0 to 65535. [bad-argument]\n');
  assert.equal(await wrong([], { OFFSHOOT_TRUST_PROXY: 'maybe' }), 'offshoot: OFFSHOOT_TRUST_PROXY must be true or false. [bad-argument]\n');
  assert.match(await wrong(['--host', '0.0.0.0']), /^offshoot: Without keys the service listens on this machine only/);
  assert.match(await wrong(['--keys', '/nope/keys']), /^offshoot: there is no key file \/nope\/keys/);
});
