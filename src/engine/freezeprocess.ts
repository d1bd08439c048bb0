// The process in which the builder's guests run: a template's program until it is frozen, and programs of an image to their end while it
// is built. It opens what it needs, gives up the right to open anything (confine.ts), and only then starts the guest. Its job comes as JSON
// on standard input; image index, image blob and the file to write are open, and the one to read; it answers with JSON on standard
// output. Started by freezeclient.ts as `freezeprocess HOME PARENT-PID`.

import { fstatSync, readFileSync, writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { exitNow } from '../host/libc.ts';
import { mapFile } from '../host/mapfile.ts';
import { confine } from './confine.ts';
import { explain } from './explain.ts';
import { BLOB_FD, INDEX_FD, INPUT_FD, OUTPUT_FD, freeze, type FreezeJob, type FromFreezer } from './freeze.ts';
import { KvmHost } from './kvmhost.ts';
import { runToEnd, type OneShot } from './oneshot.ts';
import { endWithParent } from './parent.ts';

/** A program of the image, whose input and output are files. */
type ShotJob = Omit<OneShot, 'stdin' | 'onStdout'> & { readonly imageId: string };

const NO_BYTES = new Uint8Array();

function writeOut(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(OUTPUT_FD, bytes, at);
}

function answer(home: string, parentPid: number): FromFreezer {
  try {
    const job = JSON.parse(readFileSync(0, 'utf8')) as (FreezeJob | ShotJob) & { readonly indexBytes: number };
    const host = KvmHost.open(home);
    host.kvm.kicker.drain();
    host.addImage(job.imageId, INDEX_FD, job.indexBytes, BLOB_FD);
    const inputBytes = 'argv' in job ? fstatSync(INPUT_FD).size : 0;
    const stdin = inputBytes > 0 ? mapFile(host.kvm.arena, INPUT_FD, inputBytes).bytes : NO_BYTES;
    flushCompileCache();
    confine(parentPid);
    if ('argv' in job) return { end: runToEnd(host, job.imageId, { ...job, stdin, onStdout: writeOut }) };
    return { frozen: freeze(host, job, OUTPUT_FD) };
  } catch (error) {
    const { code, message } = explain(error);
    return { error: { code, message } };
  }
}

const [, , home, parent] = process.argv;
endWithParent(Number(parent));
const bytes = Buffer.from(JSON.stringify(answer(home, Number(parent))));
for (let at = 0; at < bytes.length;) at += writeSync(1, bytes, at);
exitNow(0); // Node's own end would want calls that a confined process may not make
