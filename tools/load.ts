// npm run load [-- --clients N --seconds S]: many clients of two tenants, one of which floods, against a service in a process of its own:
// short runs, streams, sandboxes with files, slow readers, disconnects. Each answer carries its nonce. Before that the other tenant is alone
// for a while: what it waits then is compared with what it waits beside the flood. Prints a report as JSON and what must not be
// (loadreport.ts), and fails when there is any. Bounded in time and clients; loopback only.

import { spawn, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ApiError, Offshoot, Sandbox, type ExecResult } from '../src/client/index.ts';
import { makeKey, writeKeys } from '../src/server/keyfile.ts';
import { childrenOf, latency, memoryOf, memoryReport, residentMb, violations, type LoadReport, type MemorySample } from './loadreport.ts';

type Note = (kind: string, isRight: boolean, result: Partial<ExecResult>, text?: string) => void;
interface Work { readonly client: Offshoot; readonly url: string; readonly key: string; readonly note: Note }
type End = Partial<ExecResult>;

/** What a client does next, and how often. */
const KINDS: readonly (readonly [string, number, (work: Work) => Promise<void>])[] = [
  ['run', 10, run], ['stream', 4, stream], ['files', 1, files], ['slow', 1, slow], ['disconnect', 2, disconnect],
];
const SAMPLES = 40;

async function run({ client, note }: Work): Promise<void> {
  const nonce = randomUUID();
  const result = await client.run(`print(${JSON.stringify(nonce)})`);
  note('run', result.stdout === `${nonce}\n` && result.ended === 'exit', result);
}

async function stream({ client, note }: Work): Promise<void> {
  const nonce = randomUUID();
  let text = '';
  let end: End = {};
  for await (const event of client.stream({ code: `for i in range(5): print(i, ${JSON.stringify(nonce)}, flush=True)` })) {
    if (event.type === 'stdout' && 'text' in event) text += event.text;
    if (event.type === 'result') end = event.result;
  }
  note('stream', text === [0, 1, 2, 3, 4].map((i) => `${i} ${nonce}\n`).join('') && end.ended === 'exit', end, text);
}

async function files({ url, key, note }: Work): Promise<void> {
  const nonce = randomUUID();
  await using sandbox = await Sandbox.create({ url, key, idle_seconds: 60 });
  await sandbox.files.write('nonce', nonce);
  const result = await sandbox.run('print(open("nonce").read()); open("back", "w").write(open("nonce").read()[::-1])');
  const back = await sandbox.files.readText('back');
  note('files', result.stdout === `${nonce}\n` && back === [...nonce].reverse().join(''), result, back);
}

async function slow({ client, note }: Work): Promise<void> {
  const nonce = randomUUID();
  let text = '';
  let end: End = {};
  for await (const event of client.stream({ code: `print(${JSON.stringify(nonce)})\nfor i in range(16): print("x" * 65535)` })) {
    if (event.type === 'stdout' && 'text' in event) text += event.text;
    if (event.type === 'result') end = event.result;
    if (Math.random() < 0.2) await new Promise((done) => setTimeout(done, 50));
  }
  note('slow', text === `${nonce}\n${`${'x'.repeat(65_535)}\n`.repeat(16)}`, end, `${text.slice(0, 40)} … ${text.length} characters`);
}

async function disconnect({ client, note }: Work): Promise<void> {
  const nonce = randomUUID();
  for await (const event of client.stream({ code: `print(${JSON.stringify(nonce)}, flush=True)\nwhile True: pass` })) {
    note('disconnect', event.type === 'stdout' && 'text' in event && event.text === `${nonce}\n`, {}, JSON.stringify(event));
    break;
  }
}

async function timed(client: Offshoot, times: number[], note: Note): Promise<void> {
  const nonce = randomUUID();
  const begun = performance.now();
  const result = await client.run(`print(1+1, ${JSON.stringify(nonce)})`);
  times.push(performance.now() - begun);
  note('print', result.stdout === `2 ${nonce}\n`, result);
}

function pick(): (work: Work) => Promise<void> {
  let at = Math.random() * KINDS.reduce((sum, [, weight]) => sum + weight, 0);
  return (KINDS.find(([, weight]) => (at -= weight) < 0) ?? KINDS[0])[2];
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

type Counts = Record<string, number>;
const count = (counts: Counts, name: string): void => {
  counts[name] = (counts[name] ?? 0) + 1;
};

/** What came of all the work. */
class Book {
  readonly done: Counts = {};
  readonly wrong: string[] = [];
  readonly ended: Counts = {};
  readonly errors: Counts = {};

  note(kind: string, isRight: boolean, { ended, reason, exit_code: code, stdout, stderr }: End, text = stdout): void {
    if (isRight) count(this.done, kind);
    else if (ended !== undefined && ended !== 'exit' && reason) count(this.ended, `${kind}: ${ended}: ${reason}`);
    else this.wrong.push(`${kind}: ${JSON.stringify({ ended, reason, code, text: text?.slice(0, 200), stderr: stderr?.slice(0, 200) })}`);
  }

  failed(error: unknown): void {
    count(this.errors, `${error instanceof ApiError ? `${error.status} ${error.code}: ${error.message}` : String(error)}`);
  }
}

/** Does work with so many clients at a time until the time is over. */
async function clientsOf(
  many: number, seconds: number, book: Book, init: Pick<Work, 'url' | 'key'>, work: (work: Work, index: number) => Promise<void>,
): Promise<void> {
  const end = performance.now() + seconds * 1000;
  const client = new Offshoot({ ...init, retries: 8 });
  const note: Note = (...what) => book.note(...what);
  await Promise.all(Array.from({ length: many }, async (_, index) => {
    while (performance.now() < end) await work({ client, ...init, note }, index).catch((error: unknown) => book.failed(error));
  }));
}

/** Runs it. `share`: of the clients that belong to the tenant that floods. */
export async function load(clients: number, seconds: number, share = 0.9): Promise<LoadReport> {
  const dir = mkdtempSync(join(tmpdir(), 'offshoot-load-'));
  const limits = { requests_per_minute: 10_000_000, concurrency: 1000, sandboxes: 1000 };
  const keys = ['flood', 'other'].map((name) => makeKey({ name, admin: true, expires_at: null, limits }));
  writeKeys(join(dir, 'keys'), keys.map(({ entry }) => entry));
  const { child, url } = await serve(join(dir, 'keys'));
  const [floods, other] = keys.map(({ key }) => ({ url, key }));
  for (const each of [floods, other]) await new Offshoot(each).run('print(1+1)'); // its workers are there, with a build of the template of its own
  const book = new Book();
  const print = { flood: [] as number[], other: [] as number[], alone: [] as number[] };
  const many = { floods: Math.ceil(clients * share), other: clients - Math.ceil(clients * share) };
  await clientsOf(many.other, seconds / 6, book, other, ({ client, note }) => timed(client, print.alone, note));
  const samples: MemorySample[] = [];
  const sampler = setInterval(() => samples.push(memoryOf(child.pid as number)), (seconds * 1000) / SAMPLES);
  await Promise.all([
    // One in ten does nothing but measure.
    clientsOf(many.floods, seconds, book, floods, (work, index) => (index % 10 === 9 ? timed(work.client, print.flood, work.note) : pick()(work))),
    clientsOf(many.other, seconds, book, other, ({ client, note }) => timed(client, print.other, note)),
  ]);
  clearInterval(sampler);
  const left = await whatIsLeft(new Offshoot(floods), child);
  rmSync(dir, { recursive: true });
  const { done, wrong, ended, errors } = book;
  const printMs = { flood: latency(print.flood), other: latency(print.other), alone: latency(print.alone) };
  return { clients, seconds, done, wrong, ended, errors, printMs, memoryMb: memoryReport(samples), left };
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

if (process.argv[1] === import.meta.filename) {
  const { values } = parseArgs({ options: { clients: { type: 'string', default: '200' }, seconds: { type: 'string', default: '60' } } });
  const report = await load(Number(values.clients), Number(values.seconds));
  console.log(JSON.stringify(report, null, 2));
  const wrong = violations(report);
  for (const each of wrong) console.error(`load: ${each}`);
  process.exitCode = wrong.length > 0 ? 1 : 0;
}
