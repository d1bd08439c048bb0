// A sandbox that stays, as a client holds it.

import type { ExecResult } from '../api/exec.ts';
import type {
  CommandRequest, ContextRequest, ForkResult, ProcessEvent, ProcessInfo, ProcessList, RunRequest, RunResult, SandboxDetails, SandboxInfo, SandboxList,
  SandboxPatch, SandboxQuery, SandboxRequest, StartRequest,
} from '../api/sandbox.ts';
import { contentOf } from './bytes.ts';
import { Files } from './files.ts';
import { Http, lines, type CallInit, type ClientInit } from './http.ts';
import { checked, type OutputEvent, type ResultEvent } from './offshoot.ts';

const NDJSON = 'application/x-ndjson';

type ExecEventOf = OutputEvent | ResultEvent | { readonly type: 'error' };
/** The end of a background program. */
type EndEvent = Extract<ProcessEvent, { readonly type: 'result' }>;
/** A piece of its output; `position` says where to go on. */
export type PieceEvent = Extract<ProcessEvent, { readonly type: 'stdout' | 'stderr' }>;

export class Sandbox {
  readonly id: string;
  /** What it was when it was made or found. */
  readonly info: SandboxInfo;
  readonly files: Files;
  private readonly http: Http;
  private readonly path: string;

  private constructor(http: Http, info: SandboxInfo) {
    this.http = http;
    this.info = info;
    this.id = info.id;
    this.path = `/v1/sandboxes/${encodeURIComponent(info.id)}`;
    this.files = new Files(http, `${this.path}/files`);
  }

  /** Makes one; close it, or `await using` it. */
  static async create({ url, key, retries, fetch, signal, ...request }: SandboxRequest & ClientInit & CallInit = {}): Promise<Sandbox> {
    const http = new Http(clientInit({ url, key, retries, fetch }));
    return new Sandbox(http, await http.json<SandboxInfo>('POST', '/v1/sandboxes', { json: request, ...(signal ? { signal } : {}) }));
  }

  /** Finds one that is there. */
  static async connect(id: string, init: ClientInit = {}): Promise<Sandbox> {
    const http = new Http(init);
    return new Sandbox(http, await http.json<SandboxInfo>('GET', `/v1/sandboxes/${encodeURIComponent(id)}`));
  }

  /** All of this key, oldest first. */
  static async* list({ url, key, retries, fetch, ...query }: SandboxQuery & ClientInit = {}): AsyncGenerator<SandboxInfo> {
    const http = new Http(clientInit({ url, key, retries, fetch }));
    for (let cursor = query.cursor; ;) {
      const { sandboxes, next_cursor: next } = await http.json<SandboxList>('GET', '/v1/sandboxes', { query: { ...query, cursor } });
      yield* sandboxes;
      if (next === null) return;
      cursor = next;
    }
  }

  /** Runs Python in an interpreter of the sandbox: it finds the variables of the runs before. */
  run(code: string, { signal, ...rest }: Omit<RunRequest, 'code'> & CallInit = {}): Promise<RunResult> {
    return this.post('/run', { ...rest, code }, signal);
  }

  /** Runs a program of the image and waits for it. */
  exec(argv: readonly string[], { signal, ...rest }: Omit<CommandRequest, 'argv'> & CallInit = {}): Promise<ExecResult> {
    return this.post('/exec', { ...rest, argv }, signal);
  }

  /** `run`, or `exec` with `argv`, its output as it comes; the last event is the result. Leaving the loop ends it. */
  async* stream({ signal, ...request }: (RunRequest | CommandRequest) & CallInit): AsyncGenerator<OutputEvent | ResultEvent> {
    const response = await this.http.request('POST', this.path + ('argv' in request ? '/exec' : '/run'), parts(request, signal, NDJSON));
    yield* checked<ExecEventOf, OutputEvent | ResultEvent>(lines(response, signal), 'result');
  }

  /** Starts a program that goes on when nobody looks. */
  async start(argv: readonly string[], { signal, ...rest }: Omit<StartRequest, 'argv'> & CallInit = {}): Promise<Process> {
    return new Process(this.http, this.path, await this.post<ProcessInfo>('/processes', { ...rest, argv }, signal));
  }

  /** Background programs: those that run, and the last that ended. */
  async processes(): Promise<Process[]> {
    const { processes } = await this.http.json<ProcessList>('GET', `${this.path}/processes`);
    return processes.map((info) => new Process(this.http, this.path, info));
  }

  /** Another interpreter: its name for `run`. */
  async createContext(request: ContextRequest = {}): Promise<string> {
    return (await this.post<{ readonly context: string }>('/contexts', request)).context;
  }

  closeContext(context: string): Promise<void> {
    return this.http.json('DELETE', `${this.path}/contexts/${encodeURIComponent(context)}`);
  }

  /** What it is and uses now. */
  details(): Promise<SandboxDetails> {
    return this.http.json('GET', this.path);
  }

  /** Other lifetimes or metadata. */
  extend(patch: SandboxPatch): Promise<SandboxInfo> {
    return this.http.json('PATCH', this.path, { json: patch });
  }

  /** Copies of it as it is now. */
  async fork(count = 1): Promise<Sandbox[]> {
    return (await this.post<ForkResult>('/fork', { count })).sandboxes.map((info) => new Sandbox(this.http, info));
  }

  /** Ends it with all that runs in it. Safe to call twice. */
  async close(): Promise<void> {
    await this.http.json('DELETE', this.path).catch((error: unknown) => {
      if ((error as { readonly status?: number }).status !== 404) throw error;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  private post<T>(path: string, json: unknown, signal?: AbortSignal): Promise<T> {
    return this.http.json('POST', this.path + path, parts(json, signal));
  }
}

/** A background program. */
export class Process {
  readonly pid: number;
  readonly info: ProcessInfo;
  private readonly http: Http;
  private readonly path: string;

  constructor(http: Http, sandbox: string, info: ProcessInfo) {
    this.http = http;
    this.info = info;
    this.pid = info.pid;
    this.path = `${sandbox}/processes/${info.pid}`;
  }

  /** Its output from a position on (default its start; the last megabyte is kept), and its end. Leaving the loop does not end it. */
  async* output({ signal, ...query }: { readonly stdout?: number; readonly stderr?: number } & CallInit = {}): AsyncGenerator<PieceEvent | EndEvent> {
    const response = await this.http.request('GET', `${this.path}/output`, { query, accept: NDJSON, ...(signal ? { signal } : {}) });
    yield* checked<ProcessEvent, PieceEvent | EndEvent>(lines(response, signal), 'result');
  }

  /** Waits for its end. */
  async wait(init: CallInit = {}): Promise<EndEvent['result']> {
    for await (const event of this.output(init)) if (event.type === 'result') return event.result;
    throw new Error('unreachable');
  }

  /** Sends standard input; `end`: there is no more. */
  write(content: Uint8Array | string, { end = false }: { readonly end?: boolean } = {}): Promise<void> {
    return this.http.json('POST', `${this.path}/stdin`, { json: { content: contentOf(content), end } });
  }

  /** Sends a signal to its process group. False: it had ended. */
  async kill(signal = 'SIGTERM'): Promise<boolean> {
    return (await this.http.json<{ readonly delivered: boolean }>('POST', `${this.path}/signal`, { json: { signal } })).delivered;
  }
}

function parts(json: unknown, signal: AbortSignal | undefined, accept?: string): { json: unknown; signal?: AbortSignal; accept?: string } {
  return { json, ...(signal ? { signal } : {}), ...(accept === undefined ? {} : { accept }) };
}

function clientInit(init: { readonly [N in keyof ClientInit]: ClientInit[N] | undefined }): ClientInit {
  return Object.fromEntries(Object.entries(init).filter(([, value]) => value !== undefined));
}
