// Background programs and contexts of stateful sandboxes.

import assert from 'node:assert/strict';
import test from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import type { OutputPosition, Process } from '../../src/engine/index.ts';
import { pythonTemplate, text } from './enginehelp.ts';
import { using } from './statefulhelp.ts';

/** What a process prints, until `enough` of it has come. */
async function read(process: Process, enough: (text: string) => boolean, from?: OutputPosition): Promise<{ text: string; position: OutputPosition }> {
  let seen = '';
  for await (const { stream, bytes, position } of process.output(from)) {
    seen += `${stream === 'stderr' ? '!' : ''}${bytes.toString()}`;
    if (enough(seen)) return { text: seen, position };
  }
  return { text: seen, position: { stdout: 0, stderr: 0 } };
}

test('a background program: output, input, end', () => using(async (box) => {
  const process = await box.start(['sh', '-c', 'echo ready; echo oops >&2; while read line; do echo got $line; done; exit 3']);
  assert.equal((await read(process, (seen) => seen.includes('!oops'))).text, 'ready\n!oops\n');
  await process.stdin.write('a\n');
  const first = await read(process, (seen) => seen.includes('got a'));
  assert.equal(first.text, 'ready\n!oops\ngot a\n');
  await process.stdin.write('b\n');
  assert.equal((await read(process, (seen) => seen.includes('got b'), first.position)).text, 'got b\n');
  assert.equal(process.exitCode, null);
  assert.deepEqual(box.processes().map(({ pid, argv }) => [pid, argv[0]]), [[process.pid, 'sh']]);
  assert.equal(text(await box.exec(['cat', `/proc/${process.pid}/comm`])), 'sh\n');
  await process.stdin.end();
  const result = await process.wait();
  assert.deepEqual([result.exitCode, text(result), result.stderr.toString()], [3, 'ready\ngot a\ngot b\n', 'oops\n']);
  assert.equal(process.exitCode, 3);
  assert.equal((await read(process, () => false)).text, 'ready\n!oops\ngot a\ngot b\n');
  assert.equal(await process.kill(), false);
  await assert.rejects(process.stdin.write('x'), { code: 'bad-argument' });
}));

test('input that nobody reads holds its writer back', () => using(async (box) => {
  const process = await box.start(['sleep', '1000']);
  const big = Buffer.alloc(3 << 20);
  let isDone = false;
  const writing = process.stdin.write(big).then(() => isDone = true);
  await box.exec(['sleep', '1']);
  assert.equal(isDone, false);
  await process.kill('SIGKILL');
  await writing;
  assert.equal(text(await box.exec(['wc', '-c'], { stdin: big })), `${3 << 20}\n`);
  assert.equal(text(await box.run('import sys; print(len(sys.stdin.buffer.read()))', { stdin: big })), `${3 << 20}\n`);
}));

test('a server in the background answers programs and interpreters', () => using(async (box) => {
  const server = await box.start(['python3', '-u', '-m', 'http.server', '8000', '--bind', '127.0.0.1'], { cwd: '/etc' });
  await read(server, (seen) => seen.includes('Serving HTTP'));
  const get = 'import urllib.request\nprint(urllib.request.urlopen("http://127.0.0.1:8000/hostname").status)';
  assert.equal(text(await box.run(get)), '200\n');
  assert.equal(await server.kill('SIGINT'), true);
  await server.wait();
  assert.equal((await box.run(get)).exitCode, 1);
}));

test('signals reach the process group; what is not there', () => using(async (box) => {
  await box.run('1');
  const { processes } = await box.stats();
  const process = await box.start(['sh', '-c', 'sleep 1000 & sleep 1000 & wait']);
  await assert.rejects(process.kill('SIGNONE'), { code: 'bad-argument' });
  assert.equal(await process.kill(0), true);
  assert.equal(await process.kill('KILL'), true);
  const result = await process.wait();
  assert.deepEqual([result.exitCode, result.signal], [137, 'SIGKILL']);
  assert.equal((await box.stats()).processes, processes);
  await assert.rejects(box.start(['nosuch']), { code: 'file-error', errno: 'ENOENT' });
  const late = await (await box.start(['sleep', '100'], { timeoutMs: 200 })).wait();
  assert.deepEqual([late.exitCode, late.limit], [124, 'timeout']);
  const controller = new AbortController();
  const cancelled = await box.start(['sleep', '100'], { signal: controller.signal });
  controller.abort();
  assert.equal((await cancelled.wait()).limit, 'cancelled');
}));

test('the last megabyte of output is kept, and what is lost is counted', () => using(async (box) => {
  const process = await box.start(['sh', '-c', 'seq 1 1000000; sleep 100']);
  let last = '';
  let dropped = 0, bytes = 0;
  for await (const piece of process.output()) {
    dropped += piece.dropped;
    bytes += piece.bytes.length;
    last = piece.bytes.toString();
    if (last.endsWith('1000000\n')) break;
  }
  assert.equal(dropped + bytes, 6_888_896);
  const again: number[] = [];
  for await (const piece of process.output()) {
    again.push(piece.bytes.length + piece.dropped);
    if (piece.bytes.toString().endsWith('1000000\n')) break;
  }
  assert.equal(again.reduce((sum, n) => sum + n, 0), 6_888_896);
  await process.kill('SIGKILL');
}));

test('many programs: as many as may be, and no more', () => using(async (box) => {
  const all = await Promise.all(Array.from({ length: 64 }, () => box.start(['sleep', '1000'])));
  await assert.rejects(box.start(['sleep', '1000']), { code: 'busy' });
  await all[0].kill('SIGKILL');
  await all[0].wait();
  await (await box.start(['true'])).wait();
  for (let i = 0; i < 40; i++) await (await box.start(['true'])).wait();
  assert.ok(box.processes().length <= 63 + 17);
}));

test('contexts: variables of their own, one file system, at once', () => using(async (box) => {
  const [a, b] = [await box.createContext({ env: { NAME: 'a' } }), await box.createContext({ cwd: '/tmp' })];
  assert.deepEqual(box.contexts(), ['default', a, b]);
  const code = 'import os\nx = os.environ.get("NAME"), os.getcwd()\nprint(x)';
  assert.equal(text(await box.run(code, { context: a })), "('a', '/home/user')\n");
  assert.equal(text(await box.run(code, { context: b })), "(None, '/tmp')\n");
  assert.equal(text(await box.run('print("x" in globals())')), 'False\n');
  const meet = (own: string, other: string): string =>
    `import time\nopen("/tmp/${own}", "w")\nwhile not os.path.exists("/tmp/${other}"): time.sleep(0.01)\nprint(x[0])`;
  const [first, second] = await Promise.all([box.run(meet('a', 'b'), { context: a }), box.run(meet('b', 'a'), { context: b })]);
  assert.deepEqual([text(first), text(second)], ['a\n', 'None\n']);
  const lost = await box.run('os._exit(1)', { context: a });
  assert.deepEqual([lost.contextLost, lost.context], [true, a]);
  assert.equal(text(await box.run('print(x[1])', { context: b })), '/tmp\n');
  assert.equal(text(await box.run(code, { context: a })), "('a', '/home/user')\n");
  const closing = box.run('time.sleep(100)', { context: b });
  await box.closeContext(b);
  assert.equal((await closing).limit, 'cancelled');
  await assert.rejects(box.run('1', { context: b }), { code: 'bad-argument' });
  await assert.rejects(box.closeContext(b), { code: 'bad-argument' });
  await box.closeContext('default');
  assert.equal((await box.run('print(1)')).contextFresh, true);
}));

test('interpreters are no twins', () => using(async (box) => {
  const code = 'import os, random, numpy, uuid\nprint(os.getpid(), random.random(), numpy.random.rand(), uuid.uuid4())';
  const seen = new Set<string>();
  for (let i = 0; i < 5; i++) for (const word of text(await box.run(code, { context: await box.createContext() })).trim().split(' ')) seen.add(word);
  assert.equal(seen.size, 20);
}));

test('an idle sandbox uses no processor time; 200 runs leave nothing behind', () => using(async (box) => {
  for (let i = 0; i < 20; i++) await box.run(`x = ${i}`);
  await (await box.exec(['true']));
  const before = await box.stats();
  for (let i = 0; i < 180; i++) {
    if (i % 20 === 0) assert.equal((await box.exec(['sh', '-c', `exit ${i % 7}`])).exitCode, i % 7);
    else assert.equal(text(await box.run(`print(x + ${i})`, i % 3 ? {} : { stdin: 'unread' })), `${19 + i}\n`);
  }
  const after = await box.stats();
  assert.deepEqual([after.processes, after.threads, after.diskBytes], [before.processes, before.threads, before.diskBytes]);
  assert.ok(after.memoryBytes < before.memoryBytes + (4 << 20), `${before.memoryBytes} ${after.memoryBytes}`);
  // What is behind its last answer may take a while.
  for (let idle = after, used: unknown[] = [], tries = 0; !isDeepStrictEqual(used, [idle.cpuTimeMs, idle.syscalls]); tries++) {
    assert.ok(tries < 20, `it goes on computing: ${used.join()}, ${idle.cpuTimeMs}, ${idle.syscalls}`);
    used = [idle.cpuTimeMs, idle.syscalls];
    await sleep(500);
    idle = await box.stats();
  }
}));

test('a lost worker ends the sandbox with an error', async () => {
  const box = await (await pythonTemplate()).fork({ stateful: true, tenant: 'lost' });
  const running = box.run('import time; time.sleep(100)');
  (box as unknown as { place: { worker: { fail(why: string): void } } }).place.worker.fail('a test says so');
  await assert.rejects(running, { code: 'worker-lost' });
  await assert.rejects(box.run('1'), { code: 'worker-lost' });
  await assert.rejects(box.files.read('x'), { code: 'worker-lost' });
  assert.match(await box.ended ?? '', /^its worker process ended/);
  await box.close();
});
