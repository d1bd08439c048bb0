// Images for tests, and the same image unpacked as a directory, for running its programs natively.
//
// Interface: sidesImage (built once per home directory, modules byte-compiled), nativeRoot (its tree on the host's disk).

import * as path from 'node:path';
import { bakeImage } from '../../src/engine/bake.ts';
import type { KvmHost } from '../../src/engine/kvmhost.ts';
import { fetchPackages, unpackPackages } from '../../src/image/debian.ts';
import { withLock } from '../../src/image/lock.ts';
import { ImageBuilder } from '../../src/image/pack.ts';
import { keyOf } from '../../src/image/specs.ts';
import { unpackImage } from '../../src/image/unpack.ts';
import { findImage, imagesDir, openImage, writeRef, type Image } from '../../src/image/store.ts';

/** What an image of tests is made of. */
export interface SidesSpec {
  readonly name: string;
  readonly packages: readonly string[];
  /** Adds more files before the image is packed; `key` must change when they do. */
  readonly addFiles?: (builder: ImageBuilder) => void;
  readonly key?: string;
}

/** The image, built when it is missing or was built from other packages. Progress goes to stderr. */
export async function sidesImage(host: KvmHost, spec: SidesSpec): Promise<Image> {
  const { name, packages } = spec;
  const key = keyOf(spec.key === undefined ? packages : [...packages, spec.key]);
  return await withLock(path.join(imagesDir(host.home), name), async () => {
    const known = findImage(host.home, name);
    if (known?.key === key && known.stage === 'ready') return openImage(host.home, known.id);
    let last = '';
    const options = { onProgress: ({ phase, message }: { phase: string; message: string }) => {
      if (phase !== last && phase !== 'unpack') process.stderr.write(`${name} image: ${message}\n`);
      last = phase;
    } };
    const fetched = await fetchPackages(path.join(host.home, `cache/apt-${name}`), packages, options);
    const builder = new ImageBuilder(imagesDir(host.home));
    await unpackPackages(builder, fetched, options);
    spec.addFiles?.(builder);
    const id = builder.finish(() => false);
    const image = openImage(host.home, id);
    const { blobSizeBytes, count } = image.index;
    writeRef(host.home, {
      id, name, key, source: 'debian', stage: 'packed', env: {}, builtAt: new Date().toISOString(), blobSizeBytes, entries: count,
      packages: fetched.files.map(({ file }) => file),
    });
    return await bakeImage(host, image, name);
  });
}

/** The image's files below a directory of the host with the owners, modes and times they have in a sandbox; needs root. */
export function nativeRoot(home: string, name: string, image: Image): string {
  const root = path.join(home, 'cache', `${name}-root-${image.id.slice(0, 16)}`);
  unpackImage(image, root);
  return root;
}
