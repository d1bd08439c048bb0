// Files of a sandbox that stays, as a client reaches them. Paths are the sandbox's; relative ones start in its home directory.

import type { FileInfo, FileList, TarResult } from '../api/file.ts';
import type { CallInit, Http } from './http.ts';

type Body = Uint8Array | string | Blob | ReadableStream<Uint8Array>;

/** All methods reject with an ApiError 'file-error' when the sandbox's file system says no. */
export class Files {
  private readonly http: Http;
  private readonly path: string;

  constructor(http: Http, path: string) {
    this.http = http;
    this.path = path;
  }

  /** The file's bytes, or `length` of them from `offset` on. */
  async read(path: string, init: { readonly offset?: number; readonly length?: number } & CallInit = {}): Promise<Uint8Array> {
    return new Uint8Array(await (await this.get('/content', path, init)).arrayBuffer());
  }

  async readText(path: string, init: CallInit = {}): Promise<string> {
    return (await this.get('/content', path, init)).text();
  }

  /** The file's bytes as they come, for files of any size. */
  async readStream(path: string, init: CallInit = {}): Promise<ReadableStream<Uint8Array>> {
    return streamOf(await this.get('/content', path, init));
  }

  /** Writes it anew, or behind its end with `append`. A stream is sent as it comes. */
  async write(
    path: string, content: Body, { append, mode, signal }: { readonly append?: boolean; readonly mode?: number } & CallInit = {},
  ): Promise<void> {
    const query = { path, append, mode: mode?.toString(8) };
    await this.http.request('PUT', `${this.path}/content`, { query, body: content as never, ...(signal ? { signal } : {}) });
  }

  async list(path: string): Promise<FileInfo[]> {
    return (await this.http.json<FileList>('GET', this.path, { query: { path } })).files;
  }

  stat(path: string, { follow = true }: { readonly follow?: boolean } = {}): Promise<FileInfo> {
    return this.http.json('GET', `${this.path}/stat`, { query: { path, follow } });
  }

  mkdir(path: string, { recursive = false }: { readonly recursive?: boolean } = {}): Promise<void> {
    return this.http.json('POST', `${this.path}/mkdir`, { json: { path, recursive } });
  }

  move(from: string, to: string): Promise<void> {
    return this.http.json('POST', `${this.path}/move`, { json: { from, to } });
  }

  remove(path: string, { recursive = false }: { readonly recursive?: boolean } = {}): Promise<void> {
    return this.http.json('DELETE', this.path, { query: { path, recursive } });
  }

  /** A directory or file as a tar archive. */
  async readTar(path: string, init: CallInit = {}): Promise<ReadableStream<Uint8Array>> {
    return streamOf(await this.get('/tar', path, init));
  }

  /** Unpacks a tar archive into a directory, which is made. */
  writeTar(path: string, archive: Body, { signal }: CallInit = {}): Promise<TarResult> {
    return this.http.json('PUT', `${this.path}/tar`, { query: { path }, body: archive as never, type: 'application/x-tar', ...(signal ? { signal } : {}) });
  }

  private get(what: string, path: string, { signal, ...query }: { readonly offset?: number; readonly length?: number } & CallInit): Promise<Response> {
    return this.http.request('GET', this.path + what, { query: { path, ...query }, ...(signal ? { signal } : {}) });
  }
}

function streamOf({ body }: Response): ReadableStream<Uint8Array> {
  return body ?? new ReadableStream({ start: (controller) => controller.close() });
}
