// The channel between processes: messages arrive whole and in order however the stream is cut, and a side that lies about lengths
// is cut off.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { Channel } from '../../src/engine/channel.ts';

const dir = mkdtempSync(join(tmpdir(), 'offshoot-channel-'));
const server = createServer();
const path = join(dir, 's');
await new Promise<void>((listening) => server.listen(path, listening));
after(() => {
  server.close();
  rmSync(dir, { recursive: true });
});

async function pair(): Promise<[Socket, Socket]> {
  const other = new Promise<Socket>((connected) => server.once('connection', connected));
  return [connect(path), await other];
}

interface Ear { readonly heard: [unknown, string][]; readonly closed: Promise<string | null>; readonly channel: Channel }

function listen(socket: Socket, frameBytesMax = 1 << 20, onMessage: () => void = () => {}): Ear {
  const heard: [unknown, string][] = [];
  let tell: (why: string | null) => void = () => {};
  const closed = new Promise<string | null>((resolve) => {
    tell = resolve;
  });
  const channel = new Channel(socket, {
    frameBytesMax, onClose: (why) => tell(why),
    onMessage: (header, bytes) => {
      heard.push([header, bytes.toString('latin1')]);
      onMessage();
    },
  });
  return { heard, closed, channel };
}

/** A frame as another program would make it. */
function frame(header: string, bytes = '', headerBytes = header.length): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt32LE(4 + header.length + bytes.length, 0);
  head.writeUInt32LE(headerBytes, 4);
  return Buffer.concat([head, Buffer.from(header), Buffer.from(bytes, 'latin1')]);
}

test('messages arrive whole, in order, with their bytes', async () => {
  const [a, b] = await pair();
  const big = Buffer.alloc(300_000, 'x');
  const done = new Promise<Ear>((resolve) => {
    const ear = listen(b, 1 << 20, () => ear.heard.length === 4 && resolve(ear));
  });
  const { channel } = listen(a);
  let sent = 0;
  channel.send({ n: 1 }, undefined, () => sent++);
  channel.send({ n: 2 }, Buffer.from([0, 255, 10]), () => sent++);
  channel.send({ n: 3 }, big, () => sent++);
  channel.send({ n: 4, text: 'é' });
  const { heard } = await done;
  assert.deepEqual(heard.map(([header]) => header), [{ n: 1 }, { n: 2 }, { n: 3 }, { n: 4, text: 'é' }]);
  assert.deepEqual(heard.map(([, bytes]) => bytes.length), [0, 3, 300_000, 0]);
  assert.equal(heard[1][1], '\x00\xff\n');
  assert.equal(heard[2][1], big.toString());
  assert.equal(sent, 3);
  channel.close(null);
});

test('a stream cut anywhere is put together', async () => {
  const [a, b] = await pair();
  a.setNoDelay?.(true);
  const all = Buffer.concat([frame('{"n":1}', 'abc'), frame('{"n":2}'), frame('{"n":3}', 'z'.repeat(5000))]);
  const ear = listen(b);
  for (let at = 0, size = 1; at < all.length; at += size, size = size % 7 + 1) {
    const isSmall = at < 60;
    const piece = all.subarray(at, at + (isSmall ? size : 1000));
    if (!isSmall) size = 1000;
    await new Promise((sent) => a.write(piece, sent));
    await new Promise(setImmediate);
  }
  a.end();
  assert.equal(await ear.closed, null);
  assert.deepEqual(ear.heard.map(([header, bytes]) => [header, bytes.length]), [[{ n: 1 }, 3], [{ n: 2 }, 0], [{ n: 3 }, 5000]]);
});

for (const [name, bytes, why] of [
  ['a frame beyond the limit', Buffer.from([0xff, 0xff, 0xff, 0xff]), /of 4294967299 bytes/],
  ['a frame just beyond the limit', frame('{}', 'x'.repeat(1000)), /of 1010 bytes/],
  ['a header longer than its frame', frame('{}', 'abcd', 7), /longer than its message/],
  ['a header of 4 GiB', frame('{}', 'abcd', 0xffff_ffff), /longer than its message/],
  ['an empty frame', Buffer.alloc(64), /without a header/],
  ['a header that is no JSON', frame('{]'), /not JSON/],
] as const) {
  test(`${name} breaks the channel; nothing behind it is heard`, async () => {
    const [a, b] = await pair();
    a.on('error', () => { /* cut off while writing */ });
    const ear = listen(b, 1000);
    a.write(Buffer.concat([frame('{"n":1}'), bytes, frame('{"n":2}')]));
    assert.match(await ear.closed ?? '', why);
    assert.deepEqual(ear.heard, [[{ n: 1 }, '']]);
    a.destroy();
  });
}

test('a callback is called also when the other side has gone', async () => {
  const [a, b] = await pair();
  const { channel, closed } = listen(a);
  b.destroy();
  await closed;
  let called = false;
  channel.send({ n: 1 }, undefined, () => {
    called = true;
  });
  assert.ok(called);
});
