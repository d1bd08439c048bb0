// A worker that a guest has taken over and that asks for files it was not given, or sends files nobody asked for: it is ended, and the
// caller is told. What it says is put on its channel by a module that is loaded into the real worker process.

import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { after, before } from 'node:test';
import { Engine } from '../../src/engine/index.ts';
import type { OneShotInit } from '../../src/engine/engine.ts';
import { run as usual } from './clihelp.ts';

const dir = mkdtempSync(join(tmpdir(), 'offshoot-forged-'));
after(() => rmSync(dir, { recursive: true }));
before(async () => void (await usual('pass'))); // the template is there

/** Writes a frame for every sandbox there may be, again and again: it does not know which one runs, or when. */
const TAKEN = `import { writeSync } from 'node:fs';
if (process.argv[1]?.includes('worker.')) setInterval(() => {
  for (let sandbox = 0; sandbox < 8; sandbox++) {
    const header = Buffer.from(JSON.stringify({ ...FRAME, sandbox })), head = Buffer.alloc(8);
    head.writeUInt32LE(4 + header.length + BYTES, 0);
    head.writeUInt32LE(header.length, 4);
    writeSync(3, Buffer.concat([head, header, Buffer.alloc(BYTES)]));
  }
}, 100);`;

async function isEnded(frame: object, bytes: number, init: OneShotInit, why: RegExp): Promise<void> {
  const module = join(dir, 'taken.mjs');
  writeFileSync(module, TAKEN.replace('FRAME', JSON.stringify(frame)).replaceAll('BYTES', String(bytes)));
  const kept = process.env['NODE_OPTIONS'];
  process.env['NODE_OPTIONS'] = `--import=${module}`;
  const engine = await Engine.open({ workers: 1 });
  if (kept === undefined) delete process.env['NODE_OPTIONS'];
  else process.env['NODE_OPTIONS'] = kept;
  try {
    await assert.rejects(engine.run('python', 'import time; time.sleep(100)', init), (error: Error & { code?: string }) => {
      assert.equal(error.code, 'worker-lost');
      assert.match(error.message, why);
      return true;
    });
  } finally {
    await engine.close();
  }
}

const GIVEN = { mounts: { 'a.txt': 'text' } };
const ASKED = { collect: ['/home/user/out'], collectBytes: 1000 };
const FILE = { type: 'file', last: true, problem: null };

test('a file that was not given', () => isEnded({ type: 'want', tree: 0, entry: 0 }, 0, {}, /asked for a file that it was not given/));
test('another tree than those given', () => isEnded({ type: 'want', tree: 1, entry: 1 }, 0, GIVEN, /asked for a file that it was not given/));
test('a directory', () => isEnded({ type: 'want', tree: 0, entry: 0 }, 0, GIVEN, /asked for a file that it was not given/));
test('an entry that is no number', () => isEnded({ type: 'want', tree: 0, entry: '1' }, 0, GIVEN, /sent entry is no count/));
test('a file from a run of which none are wanted', () => isEnded({ ...FILE, path: '/etc/passwd' }, 1, {}, /sent files nobody asked for/));
test('another file than those wanted', () => isEnded({ ...FILE, path: '/home/user/other' }, 1, ASKED, /sent a file nobody asked for/));
test('a path that leads elsewhere', () => isEnded({ ...FILE, path: '/home/user/out/../../../x' }, 1, ASKED, /sent a file with a path that cannot be/));
test('more than may be copied out', () => isEnded({ ...FILE, path: '/home/user/out/x' }, 1001, ASKED, /sent more than may be copied out/));
test('pieces without an end', () => isEnded({ ...FILE, last: false, path: '/home/user/out' }, 0, ASKED, /a piece of a file with nothing in it/));
