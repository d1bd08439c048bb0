// Open requests of the service, on Node's own HTTP server: who stops when a client leaves, which connections end.

import assert from 'node:assert/strict';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { after, test } from 'node:test';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ServiceError } from '../../src/server/errors.ts';
import { Requests, type OpenRequest } from '../../src/server/requests.ts';

const STALL_MS = 200;
const requests = new Requests(STALL_MS);
let handle: (open: OpenRequest, raw: IncomingMessage, answer: ServerResponse) => void = () => {};
const server = createServer({ keepAliveTimeout: 100, keepAliveTimeoutBuffer: 0 }, (raw, answer) => {
  const request = { raw, headers: raw.headers, ip: '' } as unknown as FastifyRequest;
  handle(requests.add(request, { raw: answer, get sent() { return answer.headersSent; } } as unknown as FastifyReply), raw, answer);
});
await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
after(() => {
  requests.stop();
  server.closeAllConnections();
  server.close();
});

/** Sends it, and tells what came when the server has closed the connection. */
function talk(bytes: string): { readonly socket: Socket; readonly closed: Promise<string> } {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  let got = '';
  socket.on('data', (piece: Buffer) => (got += piece.toString())).on('error', () => { /* reset */ });
  socket.write(bytes);
  return { socket, closed: new Promise((resolve) => socket.on('close', () => resolve(got))) };
}

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

test('a connection that has nothing to do is closed after its time', async () => {
  handle = (_open, _raw, answer) => answer.end('x');
  assert.match(await talk(GET).closed, /^HTTP\/1.1 200/);
  assert.equal(requests.size, 0);
});

test('an answer that pauses is waited for, when its reader keeps up', async () => {
  handle = (_open, _raw, answer) => {
    answer.write('a');
    setTimeout(() => answer.end('z'), 5 * STALL_MS);
  };
  assert.match(await talk(GET).closed, /z\r\n0\r\n\r\n$/);
});

test('a reader that pauses is disconnected, and hears nothing of what runs', async () => {
  const aborted = new Promise<unknown>((resolve) => {
    handle = (open, _raw, answer) => {
      open.addEventListener('abort', () => resolve(open.reason?.code));
      answer.end(Buffer.alloc(64 << 20));
    };
  });
  const { socket, closed } = talk(GET);
  socket.pause();
  assert.equal(await aborted, 'bad-request');
  socket.resume();
  await closed;
  assert.equal(requests.size, 0);
});

test('a JSON body that pauses is told of, one that is taken as it comes is not', async () => {
  const stalled: string[] = [];
  requests.onStalled = ({ request, reply }) => {
    stalled.push(request.headers['content-type'] ?? '');
    reply.raw.end();
    request.raw.socket.destroySoon();
  };
  handle = (_open, raw) => void raw.resume();
  const post = (type: string): string => `POST / HTTP/1.1\r\nHost: a\r\nContent-Type: ${type}\r\nContent-Length: 10\r\n\r\nabc`;
  const upload = talk(post('application/octet-stream'));
  await talk(post('application/json')).closed;
  assert.deepEqual(stalled, ['application/json']);
  upload.socket.destroy();
});

test('abort: once, for all that are open; a listener that was removed hears nothing', async () => {
  const heard: string[] = [];
  const begun = new Promise<OpenRequest>((resolve) => (handle = (open) => resolve(open)));
  const { socket } = talk(GET);
  const open = await begun;
  const gone = (): void => void heard.push('gone');
  open.addEventListener('abort', gone);
  open.addEventListener('abort', () => void heard.push('here'));
  open.removeEventListener('abort', gone);
  requests.abort(new ServiceError('stopping', 'The service is stopping.'));
  requests.abort(new ServiceError('not-found', 'again'));
  assert.deepEqual([heard, open.aborted, open.reason?.code], [['here'], true, 'stopping']);
  socket.destroy();
});
