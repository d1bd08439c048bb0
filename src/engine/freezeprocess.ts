// The process in which a template's program runs until it is frozen. It opens what it needs, gives up the right to open anything
// (confine.ts), and only then starts the guest. Its job comes as JSON on standard input; image index, image blob and the file to
// write are open; it answers with JSON on standard output. Started by freezeclient.ts as `freezeprocess HOME PARENT-PID`.

import { readFileSync, writeSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { exitNow } from '../host/libc.ts';
import { confine } from './confine.ts';
import { explain } from './explain.ts';
import { BLOB_FD, INDEX_FD, OUTPUT_FD, freeze, type FreezeJob, type FromFreezer } from './freeze.ts';
import { KvmHost } from './kvmhost.ts';
import { endWithParent } from './parent.ts';

function answer(home: string, parentPid: number): FromFreezer {
  try {
    const job = JSON.parse(readFileSync(0, 'utf8')) as FreezeJob;
    const host = KvmHost.open(home);
    host.kvm.kicker.drain();
    host.addImage(job.imageId, INDEX_FD, job.indexBytes, BLOB_FD);
    flushCompileCache();
    confine(parentPid);
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
