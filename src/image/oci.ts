// Container images: an OCI image layout directory (as skopeo writes it), or the tar file of `docker save`, which has the
// same parts under other names. Layers are put over each other (layers.ts); of the configuration only Env counts.
//
// Interface: addOciLayout, addSaved, SavedImage. Specification: OCI image-spec, image-layout.md, index, manifest, config;
// manifest.json of docker save. Everything in the files is checked before it is used as a path or a size.

import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { ImageError } from './errors.ts';
import { addTar } from './layers.ts';
import type { ImageBuilder } from './pack.ts';

const JSON_BYTES_MAX = 8 << 20;
const LAYERS_MAX = 1000;
/** An index may point to an index; nobody nests deeper. */
const NESTED_MAX = 4;

type Json = Readonly<Record<string, unknown>>;

/** Environment of an image's configuration: NAME → value. */
export type ImageEnv = Readonly<Record<string, string>>;

function parseObject(text: string, what: string): Json {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null) return value as Json;
  } catch { /* below */ }
  throw new ImageError(`${what} is damaged: not JSON`);
}

/** Env of a config file: NAME=value strings; others are ignored. */
function envOf(config: Json): ImageEnv {
  const inner = (config['config'] ?? {}) as Json;
  const list = Array.isArray(inner['Env']) ? inner['Env'] as unknown[] : [];
  const pairs = list.flatMap((pair): [string, string][] => {
    const at = typeof pair === 'string' ? pair.indexOf('=') : -1;
    return at < 1 || (pair as string).includes('\0') ? [] : [[(pair as string).slice(0, at), (pair as string).slice(at + 1)]];
  });
  return Object.fromEntries(pairs);
}

/** A blob of a layout, its digest checked. */
class Layout {
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async blobPath(descriptor: Json): Promise<string> {
    const digest = String(descriptor['digest']);
    const hex = /^sha256:([0-9a-f]{64})$/.exec(digest)?.[1];
    if (hex === undefined) throw new ImageError(`${this.#dir} names a blob with an unknown kind of digest: ${JSON.stringify(digest.slice(0, 100))}`);
    const file = path.join(this.#dir, 'blobs/sha256', hex);
    const hash = createHash('sha256');
    for await (const chunk of readFile(file, `${this.#dir} lacks the blob ${digest}`)) hash.update(chunk);
    if (hash.digest('hex') !== hex) throw new ImageError(`the blob ${digest} in ${this.#dir} is damaged: its checksum is wrong`);
    return file;
  }

  async json(descriptor: Json): Promise<Json> {
    const file = await this.blobPath(descriptor);
    return parseObject(readSmall(file), file);
  }
}

async function* readFile(file: string, missing: string, range: { start?: number; end?: number } = {}): AsyncGenerator<Buffer, void> {
  try {
    yield* fs.createReadStream(file, { highWaterMark: 1 << 20, ...range }) as AsyncIterable<Buffer>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') throw new ImageError(missing);
    throw error;
  }
}

function readSmall(file: string): string {
  if (fs.statSync(file).size > JSON_BYTES_MAX) throw new ImageError(`${file} is too large`);
  return fs.readFileSync(file, 'utf8');
}

/** The manifests of an index that fit this machine: linux on amd64, or of no stated platform. */
function candidates(index: Json, tag: string | null): Json[] {
  const all = (Array.isArray(index['manifests']) ? index['manifests'] : []) as Json[];
  return all.filter((manifest) => {
    const platform = manifest['platform'] as Json | undefined;
    const annotations = (manifest['annotations'] ?? {}) as Json;
    const fits = !platform || (platform['os'] === 'linux' && platform['architecture'] === 'amd64');
    return fits && (tag === null || annotations['org.opencontainers.image.ref.name'] === tag);
  });
}

async function findManifest(layout: Layout, index: Json, where: string, tag: string | null, depth = 0): Promise<Json> {
  const found = candidates(index, tag);
  if (found.length === 0) throw new ImageError(`${where} holds no image for linux/amd64${tag === null ? '' : ` called ${JSON.stringify(tag)}`}`);
  if (found.length > 1) {
    throw new ImageError(`${where} holds ${found.length} images: name one, as oci:DIR:TAG`);
  }
  const manifest = await layout.json(found[0]);
  if (Array.isArray(manifest['layers'])) return manifest;
  if (Array.isArray(manifest['manifests']) && depth < NESTED_MAX) return findManifest(layout, manifest, where, null, depth + 1);
  throw new ImageError(`${where} has a manifest of an unknown kind`);
}

/**
 * Puts the image in the layout directory `source` (DIR or DIR:TAG) into the builder's tree; returns its environment.
 * @throws ImageError
 */
export async function addOciLayout(builder: ImageBuilder, source: string): Promise<ImageEnv> {
  const at = source.lastIndexOf(':');
  const isTagged = at > 0 && !fs.existsSync(source);
  const dir = isTagged ? source.slice(0, at) : source;
  const file = path.join(dir, 'index.json');
  if (!fs.existsSync(file)) throw new ImageError(`${dir} is not an OCI image layout: it has no index.json`);
  const layout = new Layout(dir);
  const manifest = await findManifest(layout, parseObject(readSmall(file), file), dir, isTagged ? source.slice(at + 1) : null);
  const layers = manifest['layers'] as Json[];
  if (layers.length > LAYERS_MAX) throw new ImageError(`${dir} has ${layers.length} layers`);
  const env = envOf(await layout.json(manifest['config'] as Json));
  for (const layer of layers) {
    const blob = await layout.blobPath(layer);
    await addTar(builder, readFile(blob, blob), true);
  }
  return env;
}

/** Where the parts of a `docker save` file are in it: path → position and length. */
export interface SavedImage {
  readonly file: string;
  readonly manifest: unknown;
  readonly parts: ReadonlyMap<string, { readonly at: number; readonly sizeBytes: number } | { readonly link: string }>;
}

function part(saved: SavedImage, name: string): { at: number; sizeBytes: number } {
  let found = saved.parts.get(name);
  // Old versions of docker save stored a layer that several images share once, and links to it.
  if (found && 'link' in found) found = saved.parts.get(path.posix.join(path.posix.dirname(name), found.link));
  if (!found || 'link' in found) throw new ImageError(`it lacks ${name}, which its manifest names`);
  return found;
}

async function* partContent(saved: SavedImage, name: string): AsyncGenerator<Buffer, void> {
  const { at, sizeBytes } = part(saved, name);
  if (sizeBytes > 0) yield* readFile(saved.file, saved.file, { start: at, end: at + sizeBytes - 1 });
}

/** Puts the image in a `docker save` file into the builder's tree; returns its environment. @throws ImageError */
export async function addSaved(builder: ImageBuilder, saved: SavedImage): Promise<ImageEnv> {
  const images = saved.manifest as readonly Json[];
  if (images.length !== 1) throw new ImageError(`it holds ${images.length} images: save one`);
  const { Config: config, Layers: layers } = images[0];
  if (typeof config !== 'string' || !Array.isArray(layers) || layers.length > LAYERS_MAX) {
    throw new ImageError('its manifest is of an unknown kind');
  }
  if (part(saved, config).sizeBytes > JSON_BYTES_MAX) throw new ImageError('its configuration is too large');
  const chunks: Buffer[] = [];
  for await (const chunk of partContent(saved, config)) chunks.push(chunk);
  for (const layer of layers) await addTar(builder, partContent(saved, String(layer)), true);
  return envOf(parseObject(Buffer.concat(chunks).toString('utf8'), config));
}
