// Where the engine keeps templates and what it found out about the host, below the home directory (image/home.ts).

import { randomUUID } from 'node:crypto';
import { makeDirectories } from '../image/home.ts';

/** Directory of template files; made when missing, readable by the owner alone. */
export function templatesDir(home: string): string {
  return `${home}/templates`;
}

/** The file of the template called `name`. */
export function templatePath(home: string, name: string): string {
  return `${templatesDir(home)}/${name}.template`;
}

/** A new name for a tenant's own build (layouts.ts). */
export function layoutPath(home: string): string {
  return `${templatesDir(home)}/${randomUUID()}${LAYOUT_SUFFIX}`;
}

/** Such files have their name for a moment only. */
export const LAYOUT_SUFFIX = '.layout';

/** What the user's template called `name` is built from (spec.ts). */
export function specPath(home: string, name: string): string {
  return `${templatesDir(home)}/${name}.json`;
}

/** Remembers which template file was found intact (templatefile.ts). */
export function checkedPath(home: string, name: string): string {
  return `${home}/cache/${name}.checked`;
}

/** Makes the directories the engine writes to. */
export function prepareHome(home: string): void {
  makeDirectories(home);
  makeDirectories(`${home}/cache`, 0o700);
  makeDirectories(templatesDir(home), 0o700);
}
