// npm run load [-- --clients N --seconds S]: many clients of two tenants, one of which floods, against a service in a process of its own:
// short runs, streams, sandboxes with files, slow readers, disconnects. Each answer carries its nonce. Prints a report as JSON and
// fails when an answer is wrong, lost or crossed. Bounded in time and clients; loopback only.

import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ApiError, Offshoot, Sandbox } from '../src/client/index.ts';
import { makeKey, writeKeys } from '../src/server/keyfile.ts';

export interface LoadReport {
  readonly clients: number;
  readonly seconds: number;
  /** By kind of work: how many came out right. */
  readonly done: Readonly<Record<string, number>>;
  readonly wrong: readonly string[];
  /** Errors by code; 429 and 503 with Retry-After have been tried again. */
  readonly errors: Readonly<Record<string, number>>;
  /** Milliseconds of `print(1+1)`: of the tenant that floods, and of the other. */
  readonly printMs: Readonly<Record<'flood' | 'other', Latency>>;
  /** Resident memory of the service without and with its workers, in MB, five times over the run. */
  readonly memoryMb: readonly { readonly service: number; readonly all: number }[];
  /** Sandboxes and processes that are left when all clients are gone. */
  readonly left: { readonly sandboxes: number; readonly processesAfterStop: number };
}

interface Latency { readonly n: number; readonly p50: number; readonly p99: number }
interface Work { readonly client: Offshoot; readonly url: string; readonly key: string; readonly note: (kind: string, isRight: boolean, what?: string) => void }

/** What a client does next, and how often. */
const KINDS: readonly (readonly [string, number, (work: Work) => Promise<void>])[] = [
  ['run', 10, run], ['stream', 4, stream], ['files', 1, files], ['slow', 1, slow], ['disconnect', 2, disconnect],
];

async function run({ client, note }: Work): Promise<void> {
  const nonce = randomUUID();
  const { stdout, ended } = await client.run(`print(${JSON.stringify(nonce)})`);
  note('run', stdout === `${nonce}\n` && ended === 'exit', `${ended} ${stdout}`);
}

async function stream({ client, note }: Work): Promise<void> {
  const nonce = randomUUID();
  let text = '';
  for await (const event of client.stream({ code: `for i in range(5): print(i, ${JSON.stringify(nonce)}, flush=True)` })) {
    if (event.type === 'stdout' && 'text' in event) text += event.text;
  }
  note('stream', text === [0, 1, 2, 3, 4].map((i) => `${i} ${nonce}\n`).join(''), text);
}

async function files({ url, key, note }: Work): Promise<void> {
  const nonce = randomUUID();
  await using sandbox = await Sandbox.create({ url, key, idle_seconds: 60 });
  await sandbox.files.write('nonce', nonce);
  const { stdout } = await sandbox.run('print(open("nonce").read()); open("back", "w").write(open("nonce").read()[::-1])');
  const back = await sandbox.files.readText('back');
  note('files', stdout === `${nonce}\n` && back === [...nonce].reverse().join(''), stdout + back);
}

async function slow({ client, note }: Work): Promise<void> {
  const nonce = randomUUID();
  let bytes = 0;
  for await (const event of client.stream({ code: `print(${JSON.stringify(nonce)})\nfor i in range(16): print("x" * 65535)` })) {
    if (event.type === 'stdout' && 'text' in event) bytes += event.text.length;
    if (Math.random() < 0.2) await new Promise((done) => setTimeout(done, 50));
  }
  note('slow', bytes === 37 + (1 << 20), `${bytes} bytes`);
}

async function disconnect({ client, note }: Work): Promise<void> {
  for await (const event of client.stream({ code: 'print("begun", flush=True)\nwhile True: pass' })) if (event.type === 'stdout') break;
  note('disconnect', true);
}

interface Served { readonly child: ChildProcess; readonly url: string }

async function serve(keyFile: string): Promise<Served> {
  const child = spawn(process.execPath, ['--no-warnings', resolve(import.meta.dirname, '../src/cli/main.ts'), 'serve', '--port', '0', '--keys', keyFile], {
    stdio: ['ignore', 'ignore', 'pipe'], // One that has to wait for 200 others is not ended for it.
    env: { ...process.env, OFFSHOOT_SANDBOXES: '1000', OFFSHOOT_TIMEOUT_SECONDS: '600', OFFSHOOT_TIMEOUT_SECONDS_MAX: '600' },
  });
  let log = '';
  return new Promise((found, failed) => {
    child.on('exit', () => failed(new Error(`the service ended: ${log.slice(-500)}`)));
    child.stderr?.on('data', (bytes: Buffer) => {
      if (log.length < 10_000) log += bytes.toString();
      const [, url] = /"url":"([^"]+)"/.exec(log) ?? [];
      if (url !== undefined) found({ child, url });
    });
  });
}

/** Runs it. `share`: of the clients that belong to the tenant that floods. */
export async function load(clients: number, seconds: number, share = 0.9): Promise<LoadReport> {
  const dir = mkdtempSync(join(tmpdir(), 'offshoot-load-'));
  const limits = { requests_per_minute: 10_000_000, concurrency: 1000, sandboxes: 1000 };
  const keys = ['flood', 'other'].map((name) => makeKey({ name, admin: true, expires_at: null, limits }));
  writeKeys(join(dir, 'keys'), keys.map(({ entry }) => entry));
  const { child, url } = await serve(join(dir, 'keys'));
  for (const { key } of keys) await new Offshoot({ url, key }).run('print(1+1)'); // its workers are there, with a build of the template of its own
  const report = { done: {} as Record<string, number>, wrong: [] as string[], errors: {} as Record<string, number> };
  const print: Record<'flood' | 'other', number[]> = { flood: [], other: [] };
  const end = performance.now() + seconds * 1000;
  const memoryMb: LoadReport['memoryMb'][number][] = [];
  const sampler = setInterval(() => memoryMb.push(memoryOf(child.pid as number)), (seconds * 1000) / 5);
  await Promise.all(Array.from({ length: clients }, async (_, index) => {
    const tenant = index < clients * share ? 'flood' : 'other';
    const { key } = keys[tenant === 'flood' ? 0 : 1];
    const client = new Offshoot({ url, key, retries: 8 });
    const note = (kind: string, isRight: boolean, what = ''): void => {
      if (isRight) report.done[kind] = (report.done[kind] ?? 0) + 1;
      else report.wrong.push(`${kind}: ${what.slice(0, 200)}`);
    };
    while (performance.now() < end) {
      // One in ten clients of each tenant does nothing but measure.
      const work = index % 10 === 9 || tenant === 'other' ? () => timed(client, print[tenant], note) : pick();
      await work({ client, url, key, note }).catch((error: unknown) => {
        const code = error instanceof ApiError ? error.code : String(error);
        report.errors[code] = (report.errors[code] ?? 0) + 1;
      });
    }
  }));
  clearInterval(sampler);
  const left = await whatIsLeft(new Offshoot({ url, key: keys[0].key }), child);
  rmSync(dir, { recursive: true });
  return { clients, seconds, ...report, printMs: { flood: latency(print.flood), other: latency(print.other) }, memoryMb, left };
}

async function timed(client: Offshoot, times: number[], note: Work['note']): Promise<void> {
  const begun = performance.now();
  const { stdout } = await client.run('print(1+1)');
  times.push(performance.now() - begun);
  note('print', stdout === '2\n', stdout);
}

function pick(): (work: Work) => Promise<void> {
  let at = Math.random() * KINDS.reduce((sum, [, weight]) => sum + weight, 0);
  return (KINDS.find(([, weight]) => (at -= weight) < 0) ?? KINDS[0])[2];
}

function latency(times: readonly number[]): Latency {
  const sorted = [...times].sort((a, b) => a - b);
  const at = (part: number): number => Math.round((sorted[Math.floor(part * sorted.length)] ?? NaN) * 10) / 10;
  return { n: sorted.length, p50: at(0.5), p99: at(0.99) };
}

async function whatIsLeft({ http }: Offshoot, child: ChildProcess): Promise<LoadReport['left']> {
  let sandboxes = NaN;
  for (let i = 0; i < 100 && sandboxes !== 0; i++) {
    const text = await (await http.request('GET', '/v1/metrics')).text();
    sandboxes = Number(/^offshoot_live_sandboxes (\d+)$/m.exec(text)?.[1]);
    if (sandboxes !== 0) await new Promise((done) => setTimeout(done, 100));
  }
  const workers = childrenOf(child.pid as number);
  child.kill('SIGTERM');
  await new Promise((done) => child.once('exit', done));
  await new Promise((done) => setTimeout(done, 500));
  return { sandboxes, processesAfterStop: workers.filter((pid) => residentMb(pid) > 0).length };
}

function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((tid) => readFileSync(`/proc/${pid}/task/${tid}/children`, 'latin1').split(' ').filter(Boolean).map(Number));
}

function memoryOf(pid: number): { service: number; all: number } {
  const service = residentMb(pid);
  return { service, all: Math.round(childrenOf(pid).reduce((sum, child) => sum + residentMb(child), service)) };
}

/** Memory of its own, without what it maps from files. */
function residentMb(pid: number): number {
  try {
    const [, resident, shared] = readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ').map(Number);
    return Math.round(((resident - shared) * 4096) / 2 ** 20);
  } catch {
    return 0;
  }
}

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({ options: { clients: { type: 'string', default: '200' }, seconds: { type: 'string', default: '60' } } });
  const report = await load(Number(values.clients), Number(values.seconds));
  console.log(JSON.stringify(report, null, 2));
  process.exitCode = report.wrong.length > 0 || report.left.sandboxes > 0 || report.left.processesAfterStop > 0 ? 1 : 0;
}
