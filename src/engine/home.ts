// Where the engine keeps templates and what it found out about the host, below the home directory (image/store.ts).

import { mkdirSync } from 'node:fs';

/** Directory of template files; made when missing, readable by the owner alone. */
export function templatesDir(home: string): string {
  return `${home}/templates`;
}

/** The file of the template called `name`. */
export function templatePath(home: string, name: string): string {
  return `${templatesDir(home)}/${name}.template`;
}

/** Makes the directories the engine writes to. */
export function prepareHome(home: string): void {
  mkdirSync(home, { recursive: true });
  mkdirSync(templatesDir(home), { recursive: true, mode: 0o700 });
}
