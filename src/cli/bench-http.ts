// `offshoot bench http`: what the service costs beside the engine. The service is a process of its own; the client writes requests and
// reads answers on kept connections itself, without streams, so that little of what is measured is the client. In-process runs, requests and the bare
// route (/v1/health) are measured in turn.

import { spawn, type ChildProcess } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Engine } from '../engine/engine.ts';
import type { RunResult } from '../engine/run.ts';
import { check, ratio, rest, row, single, type Row } from './benchrow.ts';

const CODE = 'print(1+1)';
const OUTPUT = /^2\n$/;
const CONNECTIONS = [1, 16, 64] as const;
const TURNS = 6;
const STARTS = 5;
/** Of each, at once: V8 has compiled then what is used often, on all sides. */
const WARM_UP = 600;
/** Samples of one row in a row. */
const IN_TURN = 10;

/** `samples`: of each single request, and requests in one turn of a rate. */
export async function benchHttp(engine: Engine, samples: number): Promise<Row[]> {
  const started: number[] = [];
  for (let i = 0; i < STARTS; i++) {
    const { child, ms } = await startServer();
    child.kill('SIGKILL');
    started.push(ms);
  }
  const { child, port } = await startServer();
  try {
    return [row('serve.start', 'ms', started), ...await overhead(engine, port, samples), ...await rates(port, samples)];
  } finally {
    child.kill('SIGKILL'); // its workers end with it
  }
}

/** One at a time, with a rest before each. */
async function overhead(engine: Engine, port: number, samples: number): Promise<Row[]> {
  const connection = await Connection.open(port);
  const inProcess: number[] = [];
  const overHttp: number[] = [];
  const hello: number[] = [];
  const run = (): Promise<RunResult> => engine.run('python', CODE);
  for (let i = 0; i < WARM_UP; i++) {
    await run();
    await connection.request(RUN);
    await connection.request(HELLO);
  }
  for (let i = 0; i < samples; i += IN_TURN) {
    for (let k = 0; k < IN_TURN; k++) check((await timed(run, inProcess)).stdout.toString(), OUTPUT);
    for (let k = 0; k < IN_TURN; k++) checkRun(await timed(() => connection.request(RUN), overHttp));
    for (let k = 0; k < IN_TURN; k++) await timed(() => connection.request(HELLO), hello);
  }
  connection.close();
  const [a, b] = [row('http.inprocess', 'ms', inProcess), row('http.exec', 'ms', overHttp)];
  return [a, b, row('http.hello', 'ms', hello), single('http.overhead', 'ms', b.p50 - a.p50)];
}

/** After a rest, from the call to its result. */
async function timed<T>(work: () => Promise<T>, times: number[]): Promise<T> {
  await rest();
  const begun = performance.now();
  const result = await work();
  times.push(performance.now() - begun);
  return result;
}

async function rates(port: number, samples: number): Promise<Row[]> {
  const rows: Row[] = [];
  for (const count of CONNECTIONS) {
    const connections = await Promise.all(Array.from({ length: count }, () => Connection.open(port)));
    const exec: number[] = [];
    const hello: number[] = [];
    await perSecond(connections, RUN, samples, checkRun);
    for (let turn = 0; turn < TURNS; turn++) {
      exec.push(await perSecond(connections, RUN, samples, checkRun));
      hello.push(await perSecond(connections, HELLO, samples * 10, () => {}));
    }
    connections.forEach((connection) => connection.close());
    rows.push(row(`exec.rate.${count}`, 'req/s', exec), row(`hello.rate.${count}`, 'req/s', hello), ratio(`exec.rate.${count}.ratio`, exec, hello));
  }
  return rows;
}

async function perSecond(connections: readonly Connection[], request: Buffer, count: number, look: (body: string) => void): Promise<number> {
  let left = count;
  const begun = performance.now();
  await Promise.all(connections.map(async (connection) => {
    while (left-- > 0) look(await connection.request(request));
  }));
  return count / ((performance.now() - begun) / 1000);
}

function checkRun(body: string): void {
  check((JSON.parse(body) as { readonly stdout?: string }).stdout ?? body, OUTPUT);
}

const BODY = JSON.stringify({ code: CODE });
const RUN = Buffer.from(`POST /v1/exec HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`);
const READY = Buffer.from('GET /v1/ready HTTP/1.1\r\nHost: localhost\r\n\r\n');
const HELLO = Buffer.from('GET /v1/health HTTP/1.1\r\nHost: localhost\r\n\r\n');

const HEAD_END = '\r\n\r\n';
const LENGTH = 'content-length: ';
const ANSWER_BYTES_MAX = 64 << 10;

/** One kept connection, one request at a time. */
class Connection {
  private readonly socket: Socket;
  private received = '';
  private take: (body: string) => void = () => {};
  private fail: (error: Error) => void = () => {};

  private constructor(port: number, opened: () => void) {
    const callback = (bytes: number, buffer: Uint8Array): boolean => this.receive((buffer as Buffer).toString('latin1', 0, bytes));
    this.socket = connect({ port, host: '127.0.0.1', noDelay: true, onread: { buffer: Buffer.alloc(ANSWER_BYTES_MAX), callback } }, opened);
    this.socket.on('error', (error) => this.fail(error)).on('close', () => this.fail(new Error('the service closed the connection')));
  }

  static open(port: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const connection = new Connection(port, () => resolve(connection));
      connection.fail = reject;
    });
  }

  request(bytes: Buffer): Promise<string> {
    return new Promise((resolve, reject) => {
      this.take = resolve;
      this.fail = reject;
      this.socket.write(bytes);
    });
  }

  close(): void {
    this.fail = () => {};
    this.socket.destroy();
  }

  /** Returns whether more may come. */
  private receive(text: string): true {
    this.received += text;
    const head = this.received.indexOf(HEAD_END);
    if (head < 0) return true;
    const body = this.received.slice(head + HEAD_END.length);
    if (body.length < Number.parseInt(this.received.slice(this.received.indexOf(LENGTH) + LENGTH.length), 10)) return true;
    this.received = '';
    this.take(body);
    return true;
  }
}

/** The service as a process of its own, on a free port, without keys, when its template is loaded; `ms` until it said so. */
async function startServer(): Promise<{ child: ChildProcess; port: number; ms: number }> {
  const main = fileURLToPath(new URL(import.meta.url.endsWith('.ts') ? 'main.ts' : 'main.js', import.meta.url));
  const env = { ...process.env, OFFSHOOT_LOG_LEVEL: 'info', OFFSHOOT_KEYS: '', OFFSHOOT_WORKERS: '' };
  const begun = performance.now();
  const child = spawn(process.execPath, ['--no-warnings', main, 'serve', '--port', '0'], { stdio: ['ignore', 'ignore', 'pipe'], env: withoutEmpty(env) });
  let log = '';
  const port = await new Promise<number>((resolve, reject) => {
    child.on('exit', () => reject(new Error(`the service ended: ${log.slice(-500)}`)));
    child.stderr?.on('data', (bytes: Buffer) => {
      if (log.length < 10_000) log += bytes.toString();
      const [, found] = /"url":"http:\/\/[^"]+:(\d+)"/.exec(log) ?? [];
      if (found !== undefined) resolve(Number(found));
    });
  });
  const connection = await Connection.open(port);
  while (!(await connection.request(READY)).includes('"status":"ready"')) await rest();
  connection.close();
  return { child, port, ms: performance.now() - begun };
}

function withoutEmpty(env: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== ''));
}
