// What is kept in a home directory and what needs what: templates and the images they stand on. Opens neither /dev/kvm nor memory.

import { existsSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { IMAGES } from '../image/specs.ts';
import { findImage, imagesDir, listImages, removeImage, writeRef, type ImageRef } from '../image/store.ts';
import { withLock } from '../image/lock.ts';
import { staleness } from './current.ts';
import { OffshootError } from './errors.ts';
import { checkedPath, templatePath, templatesDir } from './home.ts';
import { isBuiltIn, templateSpec, type TemplateSpec } from './spec.ts';
import { readHeader, templateKey, type TemplateHeader } from './templatefile.ts';
import { forgetSpec, templateNames } from './userspec.ts';

/** A template of a home. */
export interface TemplateEntry {
  readonly name: string;
  readonly builtIn: boolean;
  /** Null: its description is damaged. */
  readonly spec: TemplateSpec | null;
  /** Null: not built, or its file cannot be used. */
  readonly header: TemplateHeader | null;
  /** Why it is not there or will be built again at its next use; null: it is ready. */
  readonly problem: string | null;
  readonly sizeBytes: number;
}

/** An image on disk. */
export interface ImageEntry {
  /** '' for one that no name stands for. */
  readonly name: string;
  readonly id: string;
  readonly ref: ImageRef | null;
  /** Blob and index. */
  readonly sizeBytes: number;
  /** Templates that were built on it, and those of users that will be. */
  readonly usedBy: readonly string[];
}

/** All templates: those that come with Offshoot, then the user's, sorted by name. */
export function listTemplates(home: string): TemplateEntry[] {
  return templateNames(home).map((name) => templateEntry(home, name));
}

/** One template, whether it is built or not. */
export function templateEntry(home: string, name: string): TemplateEntry {
  const path = templatePath(home, name);
  const sizeBytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  let spec: TemplateSpec | null = null;
  let header: TemplateHeader | null = null;
  let problem: string | null = null;
  try {
    spec = templateSpec(name, home) ?? null;
    if (sizeBytes > 0 || existsSync(path)) header = readHeader(path, templateKey(home));
    problem = header && spec ? staleness(home, spec, header) : 'not built';
  } catch (error) {
    problem = (error as Error).message;
  }
  return { name, builtIn: isBuiltIn(name), spec, header, problem, sizeBytes };
}

/** All images, named ones first. */
export function listUsedImages(home: string): ImageEntry[] {
  const templates = listTemplates(home);
  // Two names may stand for the same image: each is used by those that ask for it by that name.
  const users = (id: string, name: string): string[] => templates
    .filter(({ header, spec, builtIn }) => (name === '' ? header?.imageId === id : spec?.image.name === name && (header !== null || !builtIn)))
    .map((entry) => entry.name);
  const refs = listImages(home);
  const named = refs.map((ref) => ({ name: ref.name, id: ref.id, ref, sizeBytes: imageBytes(home, ref.id), usedBy: users(ref.id, ref.name) }));
  const unnamed = imageIds(home).filter((id) => !refs.some((ref) => ref.id === id))
    .map((id) => ({ name: '', id, ref: null, sizeBytes: imageBytes(home, id), usedBy: users(id, '') }));
  return [...named, ...unnamed];
}

function imageIds(home: string): string[] {
  try {
    return readdirSync(imagesDir(home)).filter((name) => /^[0-9a-f]{64}$/.test(name)).sort();
  } catch {
    return [];
  }
}

function imageBytes(home: string, id: string): number {
  return ['blob', 'index'].reduce((sum, name) => sum + (statSync(join(imagesDir(home), id, name), { throwIfNoEntry: false })?.size ?? 0), 0);
}

function removeId(home: string, id: string): void {
  if (/^[0-9a-f]{64}$/.test(id)) rmSync(join(imagesDir(home), id), { recursive: true, force: true });
}

/** Removes an image that no name stands for and no template uses: a build has replaced it. */
export function removeIfUnused(home: string, id: string): void {
  const entry = listUsedImages(home).find((image) => image.id === id);
  if (entry && entry.name === '' && entry.usedBy.length === 0) removeId(home, id);
}

/** After a failed build: `name` stands again for what it stood for before it, and what the build made goes. */
export function restoreImage(home: string, name: string, before: ImageRef | null): void {
  const now = findImage(home, name);
  if (!now || now.id === before?.id || IMAGES.some((image) => image.name === name)) return;
  if (before) writeRef(home, before);
  else removeImage(home, name);
  removeIfUnused(home, now.id);
}

/** Removes an image by name. Throws OffshootError when there is none, or a template uses it. */
export function removeImageByName(home: string, name: string): number {
  const entry = listUsedImages(home).find((image) => image.name === name && name !== '');
  if (!entry) throw new OffshootError('bad-argument', `There is no image "${name}".`);
  if (entry.usedBy.length > 0) {
    const [user] = entry.usedBy;
    throw new OffshootError('bad-argument', `Image "${name}" is used by template "${user}": remove that first (offshoot template rm ${user}).`);
  }
  removeImage(home, name);
  return entry.sizeBytes;
}

/** Something that was removed. */
export interface Removed {
  readonly name: string;
  readonly sizeBytes: number;
}

/** Removes images that no template uses. */
export function pruneUnusedImages(home: string): Promise<Removed[]> {
  return withLock(templatesDir(home), async () => {
    const unused = listUsedImages(home).filter(({ usedBy }) => usedBy.length === 0);
    for (const { name, id } of unused) {
      if (name === '') removeId(home, id);
      else removeImage(home, name);
    }
    return unused.map(({ name, id, sizeBytes }) => ({ name: name || id.slice(0, 12), sizeBytes }));
  });
}

/** Removes a template's file, and what a user's is built from; false when there was neither. */
export function removeTemplate(home: string, name: string): boolean {
  const path = templatePath(home, name);
  const wasBuilt = existsSync(path);
  const wasKnown = forgetSpec(home, name);
  rmSync(path, { force: true });
  rmSync(checkedPath(home, name), { force: true });
  return wasBuilt || wasKnown;
}

/** Removes template files that would be built again at their next use anyway, and what killed builds left. */
export function pruneTemplates(home: string): Promise<Removed[]> {
  return withLock(templatesDir(home), async () => {
    const known = new Map(listTemplates(home).map((entry) => [`${entry.name}.template`, entry]));
    const removed: Removed[] = [];
    for (const file of readdirSync(templatesDir(home)).sort()) {
      const isTemplate = file.endsWith('.template');
      if (!file.endsWith('.tmp') && !(isTemplate && known.get(file)?.problem !== null)) continue;
      const path = join(templatesDir(home), file);
      removed.push({ name: isTemplate ? file.slice(0, -'.template'.length) : file, sizeBytes: statSync(path).size });
      rmSync(path);
    }
    return removed;
  });
}
