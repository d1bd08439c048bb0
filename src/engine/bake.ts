// Adds byte-compiled Python modules to an image. Debian's maintainer scripts would make them on installation; here a sandbox
// does, because the host never runs a program of the image.

import { readFileSync } from 'node:fs';
import { extendImage, type Addition } from '../image/images.ts';
import type { Image } from '../image/store.ts';
import { OffshootError } from './errors.ts';
import type { KvmHost } from './kvmhost.ts';
import { runToEnd } from './oneshot.ts';

const MEMORY_BYTES = 512 << 20;
const OUTPUT_BYTES = 256 << 20;

/** Compiles all modules of the image inside a VM and packs them into a new image of the same name. */
export function bakeImage(host: KvmHost, image: Image, name: string): Promise<Image> {
  const script = readFileSync(new URL('../guest/compile.py', import.meta.url), 'utf8');
  const { stdout, stderr, exitCode } = runToEnd(host, image.id, {
    argv: ['/usr/bin/python3', '-I', '-B', '-c', script], memoryBytes: MEMORY_BYTES, outputBytes: OUTPUT_BYTES, uid: 0,
  });
  if (exitCode !== 0) throw new OffshootError('image-failed', `Byte-compiling the image's modules failed: ${stderr.toString().trim().slice(-300)}`);
  return extendImage(image, additions(stdout), { home: host.home, name });
}

/** The stream of compile.py: a JSON line, then the bytes it announces. */
function additions(stream: Buffer): Addition[] {
  const found: Addition[] = [];
  const dirs = new Set<string>();
  let at = 0;
  while (at < stream.length) {
    const end = stream.indexOf(10, at);
    const header = JSON.parse(stream.toString('utf8', at, end)) as { path: string; bytes: number };
    const dir = header.path.slice(0, header.path.lastIndexOf('/'));
    if (!dirs.has(dir)) {
      dirs.add(dir);
      found.push({ path: dir, mode: 0o755, content: null });
    }
    found.push({ path: header.path, mode: 0o644, content: stream.subarray(end + 1, end + 1 + header.bytes) });
    at = end + 1 + header.bytes;
  }
  return found;
}
