// /v1/sandboxes/ID/files: list, stat, read, write, make directories, move, remove; archives in and out.

import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import { ErrorBody } from '../../api/error.ts';
import {
  FileInfo, FileList, MkdirRequest, MoveRequest, PathQuery, ReadQuery, RemoveQuery, StatQuery, TarResult, WriteQuery,
} from '../../api/file.ts';
import { SandboxId } from '../../api/sandbox.ts';
import { callerOf, interruption, type App } from '../http.ts';
import type { At } from '../operations/commands.ts';
import { fileInfo, readFile, readTar, withFiles, writeFile, writeTar } from '../operations/files.ts';
import type { Service } from '../service.ts';

const tags = ['files'];
const params = SandboxId;
const ERRORS = { '4xx': ErrorBody, '5xx': ErrorBody };
const BYTES = Type.Unsafe<Readable>({ type: 'string', format: 'binary' });
const NONE = { 204: Type.Null(), ...ERRORS };

export function fileRoutes(app: App, service: Service): void {
  const at = (request: FastifyRequest): At => ({ service, caller: callerOf(request), id: (request.params as { readonly id: string }).id });
  const stallMs = service.settings.stall_seconds * 1000;

  app.get('/v1/sandboxes/:id/files', { schema: { summary: 'List a directory', tags, params, querystring: PathQuery, response: { 200: FileList, ...ERRORS } } },
    async (request) => ({ files: (await withFiles(at(request), (files) => files.list(request.query.path))).map(fileInfo) }));

  app.get('/v1/sandboxes/:id/files/stat', {
    schema: { summary: 'What a path leads to', tags, params, querystring: StatQuery, response: { 200: FileInfo, ...ERRORS } },
  }, async (request) => {
    const { path, follow = true } = request.query;
    return fileInfo(await withFiles(at(request), (files) => files.stat(path, { follow })));
  });

  app.delete('/v1/sandboxes/:id/files', { schema: { summary: 'Remove a file or directory', tags, params, querystring: RemoveQuery, response: NONE } },
    async (request, reply) => {
      const { path, recursive = false } = request.query;
      await withFiles(at(request), (files) => files.remove(path, { recursive }));
      return reply.status(204).send(null);
    });

  app.post('/v1/sandboxes/:id/files/mkdir', { schema: { summary: 'Make a directory', tags, params, body: MkdirRequest, response: NONE } },
    async (request, reply) => {
      const { path, recursive = false } = request.body;
      await withFiles(at(request), (files) => files.mkdir(path, { recursive }));
      return reply.status(204).send(null);
    });

  app.post('/v1/sandboxes/:id/files/move', { schema: { summary: 'Move or rename', tags, params, body: MoveRequest, response: NONE } },
    async (request, reply) => {
      await withFiles(at(request), (files) => files.move(request.body.from, request.body.to));
      return reply.status(204).send(null);
    });

  app.get('/v1/sandboxes/:id/files/content', {
    schema: { summary: 'Read a file, or a part of it', description: 'Bytes.', tags, params, querystring: ReadQuery, response: { 200: BYTES, ...ERRORS } },
  }, async (request, reply) => {
    const { path, ...range } = request.query;
    return reply.type('application/octet-stream').send(await readFile(at(request), path, range));
  });

  app.put('/v1/sandboxes/:id/files/content', {
    schema: {
      summary: 'Write a file', description: 'The body is its bytes (application/octet-stream).', tags, params, querystring: WriteQuery, response: NONE,
    },
  }, async (request, reply) => upload(request, reply, stallMs, async (body) => {
    const { path, append = false, mode } = request.query;
    await writeFile(at(request), path, body, { append, ...(mode === undefined ? {} : { mode: parseInt(mode, 8) }) });
    return reply.status(204).send(null);
  }));

  app.get('/v1/sandboxes/:id/files/tar', {
    schema: { summary: 'A directory or file as a tar archive', tags, params, querystring: PathQuery, response: { 200: BYTES, ...ERRORS } },
  }, async (request, reply) => reply.type('application/x-tar').send(await readTar(at(request), request.query.path)));

  app.put('/v1/sandboxes/:id/files/tar', {
    schema: {
      summary: 'Unpack a tar archive into a directory', tags, params,
      description: 'The body is the archive (application/x-tar). Links and devices are skipped.',
      querystring: PathQuery, response: { 200: TarResult, ...ERRORS },
    },
  }, async (request, reply) => upload(request, reply, stallMs, async (body) => reply.send(await writeTar(at(request), request.query.path, body))));
}

/** A body that is taken as it comes. What still comes after an answer is thrown away for a while, so that the client gets to read it. */
async function upload(
  request: FastifyRequest, reply: FastifyReply, stallMs: number, take: (body: IncomingMessage) => Promise<FastifyReply>,
): Promise<FastifyReply> {
  const { raw } = request;
  const { socket } = raw;
  interruption(request).timeConnection(stallMs);
  reply.raw.once('finish', () => {
    if (raw.complete) return;
    raw.resume();
    setTimeout(() => raw.complete || socket.destroy(), stallMs).unref();
  });
  try {
    return await take(raw);
  } finally {
    raw.unpipe();
  }
}
