// `tar:` and `oci:` images: root file systems, `docker save` files and OCI layouts, made with tar(1); whiteouts, owners, links;
// everything that can be wrong with them is one sentence and leaves nothing behind.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test from 'node:test';
import type { TestContext } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { ImageError } from '../../src/image/errors.ts';
import { findProgram } from '../../src/image/find.ts';
import { ensureImage } from '../../src/image/images.ts';
import type { ImageSpec } from '../../src/image/specs.ts';
import { findImage } from '../../src/image/store.ts';
import type { Image } from '../../src/image/store.ts';
import { imageLookup } from '../../src/kernel/fs/imageindex.ts';

function scratch(t: TestContext): string {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'offshoot-layers-'));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  return dir;
}

function spec(from: string): ImageSpec {
  return { name: 'mine', from, packages: [], wheels: [], requirements: '', stamp: 'now', downloadBytes: 0, diskBytes: 0 };
}

function pack(dir: string, from: string): Promise<Image> {
  return ensureImage(spec(from), { home: path.join(dir, 'home') });
}

/** A tar file of the files given as path → content; a content that starts with `->` is a link, one that is null a directory. */
function tar(dir: string, name: string, files: Readonly<Record<string, string | null>>, ...flags: string[]): Buffer {
  const root = path.join(dir, `${name}-root`);
  for (const [file, content] of Object.entries(files)) {
    const at = path.join(root, file);
    fs.mkdirSync(content === null ? at : path.dirname(at), { recursive: true });
    if (content?.startsWith('->')) fs.symlinkSync(content.slice(2), at);
    else if (content?.startsWith('=>')) fs.linkSync(path.join(root, content.slice(2)), at);
    else if (content !== null) fs.writeFileSync(at, content);
  }
  execFileSync('tar', ['-C', root, '-cf', path.join(dir, name), '--owner=7', '--group=8', ...flags, '--', ...Object.keys(files)]);
  return fs.readFileSync(path.join(dir, name));
}

function entry(image: Image, at: string): number {
  return at.split('/').reduce((dir, name) => (dir < 0 ? dir : imageLookup(image.index, dir, name)), 0);
}

function content(image: Image, at: string): string | null {
  const found = entry(image, at);
  if (found < 0) return null;
  const { offset, sizeBytes, target } = image.index;
  return target[found] !== '' ? `->${target[found]}` : fs.readFileSync(image.blobPath).toString('latin1', offset[found], offset[found] + sizeBytes[found]);
}

/** What a build must never leave. */
function leftovers(dir: string): string[] {
  return fs.readdirSync(path.join(dir, 'home/images')).filter((name) => name.startsWith('.tmp'));
}

const ROOT = { 'etc/passwd': 'root:x:0:0::/root:/bin/sh\n', 'usr/bin/tool': 'tool', 'usr/bin/same': '=>usr/bin/tool', bin: '->usr/bin' };

test('tar: a root file system, plain and compressed', async (t) => {
  const dir = scratch(t);
  const plain = tar(dir, 'root.tar', ROOT, '--mode=4755');
  fs.writeFileSync(path.join(dir, 'root.tar.gz'), gzipSync(plain));
  fs.writeFileSync(path.join(dir, 'root.tar.zst'), zstdCompressSync(plain));
  for (const name of ['root.tar', 'root.tar.gz', 'root.tar.zst']) {
    const image = await ensureImage({ ...spec(`tar:${path.join(dir, name)}`), stamp: name }, { home: path.join(dir, 'home') });
    const { index } = image;
    const tool = entry(image, 'usr/bin/tool');
    assert.deepEqual([index.mode[tool], index.uid[tool], index.gid[tool], index.nlink[tool]], [0o104755, 7, 8, 2], name);
    assert.equal(index.inode[tool], index.inode[entry(image, 'usr/bin/same')]);
    assert.deepEqual([content(image, 'usr/bin/same'), content(image, 'bin')], ['tool', '->usr/bin']);
    // What every root needs is there: the sandbox's user and its home, mount points.
    assert.match(content(image, 'etc/passwd') ?? '', /^root:.*\nuser:x:1000:1000:/);
    assert.deepEqual(['proc', 'tmp', 'home/user'].map((at) => index.mode[entry(image, at)].toString(8)), ['40555', '41777', '40755']);
    assert.deepEqual(leftovers(dir), []);
  }
  const image = await pack(dir, `tar:${path.join(dir, 'root.tar')}`);
  assert.equal(findProgram(image.index, 'tool', '/none:/bin:/usr/bin'), '/bin/tool');
  assert.deepEqual(['passwd', 'none'].map((name) => findProgram(image.index, name, '/etc:/bin')), ['/etc/passwd', null]);
});

/** Two layers: the second removes a file and a whole directory, empties another and puts a file where a directory was. */
function layers(dir: string): [Buffer, Buffer] {
  const lower = tar(dir, 'lower', {
    'a/gone': '1', 'a/kept': '2', 'opaque/old': '3', 'opaque/sub/old': '4', 'was/dir/x': '5', 'whole/x': '6', target: 'linked', ...ROOT,
  });
  const upper = tar(dir, 'upper', {
    'a/.wh.gone': '', 'opaque/new': 'n', 'opaque/.wh..wh..opq': '', '.wh.whole': '', was: 'file now', 'bin/extra': 'through the link',
  });
  return [lower, upper];
}

const CONFIG = JSON.stringify({ config: { Env: ['PATH=/opt/bin:/usr/bin', 'BROKEN', 'A=b=c'] } });

function isLayered(dir: string, image: Image): void {
  const found = ['a/gone', 'a/kept', 'opaque/old', 'opaque/sub', 'opaque/new', 'whole', 'was'].map((at) => content(image, at));
  assert.deepEqual(found, [null, '2', null, null, 'n', null, 'file now']);
  assert.deepEqual(findImage(path.join(dir, 'home'), 'mine')?.env, { PATH: '/opt/bin:/usr/bin', A: 'b=c' });
  assert.equal(entry(image, 'a/.wh.gone'), -1);
}

function save(dir: string, manifest: unknown, parts: Readonly<Record<string, Buffer | string>>): string {
  const root = fs.mkdtempSync(path.join(dir, 'save-'));
  for (const [name, bytes] of Object.entries({ ...parts, 'manifest.json': JSON.stringify(manifest) })) {
    fs.mkdirSync(path.dirname(path.join(root, name)), { recursive: true });
    fs.writeFileSync(path.join(root, name), bytes);
  }
  const file = `${root}.tar`;
  execFileSync('tar', ['-C', root, '-cf', file, ...fs.readdirSync(root).sort()]);
  return file;
}

test('tar: docker save, also compressed', async (t) => {
  const dir = scratch(t);
  const [lower, upper] = layers(dir);
  const manifest = [{ Config: 'c.json', RepoTags: ['x:1'], Layers: ['1/layer.tar', '2/layer.tar'] }];
  const file = save(dir, manifest, { 'c.json': CONFIG, '1/layer.tar': lower, '2/layer.tar': upper });
  isLayered(dir, await pack(dir, `tar:${file}`));
  fs.writeFileSync(`${file}.gz`, gzipSync(fs.readFileSync(file)));
  isLayered(dir, await pack(dir, `tar:${file}.gz`));
  assert.deepEqual(leftovers(dir), []);
});

interface Layout { readonly dir: string; put(bytes: Buffer | string): { digest: string; size: number } }

function layout(dir: string): Layout {
  const root = fs.mkdtempSync(path.join(dir, 'oci-'));
  fs.mkdirSync(path.join(root, 'blobs/sha256'), { recursive: true });
  const put: Layout['put'] = (bytes) => {
    const hex = createHash('sha256').update(bytes).digest('hex');
    fs.writeFileSync(path.join(root, 'blobs/sha256', hex), bytes);
    return { digest: `sha256:${hex}`, size: bytes.length };
  };
  return { dir: root, put };
}

function index(oci: Layout, manifests: readonly unknown[]): void {
  fs.writeFileSync(path.join(oci.dir, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
}

test('oci: a layout with compressed layers, several platforms, nested indexes and tags', async (t) => {
  const dir = scratch(t);
  const oci = layout(dir);
  const [lower, upper] = layers(dir);
  const manifest = oci.put(JSON.stringify({ config: oci.put(CONFIG), layers: [oci.put(gzipSync(lower)), oci.put(zstdCompressSync(upper))] }));
  const arm = { ...oci.put('{}'), platform: { os: 'linux', architecture: 'arm64' } };
  index(oci, [arm, { ...manifest, platform: { os: 'linux', architecture: 'amd64' } }]);
  isLayered(dir, await pack(dir, `oci:${oci.dir}`));
  const inner = oci.put(JSON.stringify({ manifests: [arm, { ...manifest, platform: { os: 'linux', architecture: 'amd64' } }] }));
  index(oci, [{ ...inner, annotations: { 'org.opencontainers.image.ref.name': 'v1' } }, { ...arm, platform: undefined }]);
  isLayered(dir, await pack(dir, `oci:${oci.dir}:v1`));
  await assert.rejects(pack(dir, `oci:${oci.dir}:v2`), /holds no image for linux\/amd64 called "v2"/);
  await assert.rejects(ensureImage({ ...spec(`oci:${oci.dir}`), stamp: 'two' }, { home: path.join(dir, 'home') }), /holds 2 images: name one/);
});

test('what is wrong with an archive or a layout is said in one sentence, and nothing is left', async (t) => {
  const dir = scratch(t);
  const write = (name: string, bytes: Buffer | string): string => {
    fs.writeFileSync(path.join(dir, name), bytes);
    return path.join(dir, name);
  };
  const root = tar(dir, 'root.tar', ROOT);
  const gz = gzipSync(root);
  const oci = layout(dir);
  const bad = oci.put(gz);
  fs.appendFileSync(path.join(oci.dir, 'blobs/sha256', bad.digest.slice(7)), 'x');
  index(oci, [oci.put(JSON.stringify({ config: oci.put(CONFIG), layers: [bad] }))]);
  const escaping = layout(dir);
  index(escaping, [{ digest: 'sha256:../../../../etc/passwd' }]);
  const empty = layout(dir);
  fs.mkdirSync(path.join(dir, 'no'));
  const one = { Config: 'c.json', Layers: ['l.tar'] };
  const wrong: readonly (readonly [string, RegExp])[] = [
    [`tar:${path.join(dir, 'nothing')}`, /nothing does not exist/],
    [`tar:${dir}`, /is not a file/],
    [`dir:${path.join(dir, 'root.tar')}`, /is not a directory/],
    [`tar:${write('empty', '')}`, /it is empty/],
    [`tar:${write('text', 'not a tar file, '.repeat(100))}`, /text cannot be used as an image: .*damaged file header/],
    [`tar:${write('short', root.subarray(0, 1500))}`, /ends in the middle of a file/],
    [`tar:${write('gz', Buffer.concat([gz.subarray(0, 60), Buffer.alloc(50, 9), gz.subarray(110)]))}`, /cannot be decompressed/],
    [`tar:${write('cut', gz.subarray(0, gz.length - 20))}`, /cannot be decompressed/],
    [`tar:${write('xz', Buffer.from('fd377a585a0000', 'hex'))}`, /compressed with xz.*xz -d/],
    [`tar:${write('bz', 'BZh91AY&SY')}`, /compressed with bzip2/],
    [`tar:${write('up', tar(dir, 'up.tar', { 'a/x': 'x' }, '--transform=s,a/x,../../x,', '-P'))}`, /refused the path/],
    [`tar:${save(dir, [one, one], { 'c.json': CONFIG, 'l.tar': root })}`, /holds 2 images: save one/],
    [`tar:${save(dir, [one], { 'c.json': CONFIG })}`, /lacks l.tar/],
    [`tar:${save(dir, [one], { 'c.json': '{', 'l.tar': root })}`, /c.json is damaged/],
    [`oci:${oci.dir}`, /the blob sha256:[0-9a-f]{64} in .* is damaged: its checksum is wrong/],
    [`oci:${escaping.dir}`, /unknown kind of digest/],
    [`oci:${empty.dir}`, /is not an OCI image layout: it has no index.json/],
  ];
  for (const [from, message] of wrong) {
    await assert.rejects(pack(dir, from), (error: Error) => {
      assert.ok(error instanceof ImageError, `${from}: ${error.stack}`);
      assert.match(error.message, message, from);
      assert.doesNotMatch(error.message, /\n/);
      return true;
    });
    assert.deepEqual(leftovers(dir), [], from);
  }
});

test('dir: the directory of Offshoot itself stays out', async (t) => {
  const dir = scratch(t);
  fs.mkdirSync(path.join(dir, 'home/images'), { recursive: true });
  fs.writeFileSync(path.join(dir, 'file'), 'x');
  const image = await pack(dir, `dir:${dir}`);
  assert.equal(content(image, 'file'), 'x');
  assert.equal(image.index.childCount[entry(image, 'home')], 1, 'only /home/user, which is added');
});
