// What to type when a program fails because of the sandbox: its template lacks a module, a directory is read-only or hidden.

import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isOwn } from './files.ts';

/** Modules whose Debian package is not called python3-MODULE. */
const PACKAGES: Readonly<Record<string, string>> = {
  PIL: 'python3-pil', yaml: 'python3-yaml', cv2: 'python3-opencv', sklearn: 'python3-sklearn', skimage: 'python3-skimage', bs4: 'python3-bs4',
  dateutil: 'python3-dateutil', Crypto: 'python3-pycryptodome', OpenSSL: 'python3-openssl', tkinter: 'python3-tk', serial: 'python3-serial',
};
/** What the template `data` has and `python` has not. */
const DATA = new Set(['pandas', 'matplotlib', 'scipy', 'PIL', 'dateutil', 'pytz']);
const TAIL_BYTES = 4096;

/** Keeps the end of what a program writes to stderr. */
export class Tail {
  private bytes: Buffer = Buffer.alloc(0);

  push(bytes: Uint8Array): void {
    this.bytes = Buffer.concat([this.bytes, bytes.subarray(-TAIL_BYTES)]).subarray(-TAIL_BYTES);
  }

  /** The last line that is not empty. */
  get lastLine(): string {
    return this.bytes.toString('utf8').trimEnd().split('\n').at(-1) ?? '';
  }
}

/** One line for a program whose last word was this, or null. */
export function importHint(lastLine: string, template: string): string | null {
  const module = /^ModuleNotFoundError: No module named '([A-Za-z_]\w*)[\w.]*'$/.exec(lastLine)?.[1];
  if (module === undefined) return null;
  const lacks = `template "${template}" has no Python module "${module}"`;
  if (template !== 'data' && DATA.has(module)) return `${lacks}: use the one that has it, -t data`;
  const debian = PACKAGES[module] ?? `python3-${module.toLowerCase().replaceAll('_', '-')}`;
  return `${lacks}: add it with "offshoot template build NAME --package ${debian}" (or --requirements FILE, --wheel FILE) and use -t NAME`;
}

/** The same for whatever a sandbox is the reason of. `dir`: the script's directory, where it is visible. */
export function hintFor(lastLine: string, template: string, script: string | null, dir: string | null): string | null {
  if (dir !== null && /^OSError: \[Errno 30\] Read-only file system/.test(lastLine)) {
    return `${dir} is read-only in the sandbox: name what the program writes, --out FILE:PATH, or let it write to /tmp`;
  }
  const scriptDir = script === null ? null : dirname(script);
  if (scriptDir !== null && isOwn(scriptDir) && isHidden(lastLine, scriptDir)) {
    return `the sandbox has a ${scriptDir} of its own and sees only the script there: put it and its files into a directory, or use --in`;
  }
  return importHint(lastLine, template);
}

/** Whether what it did not find lies beside the script. */
function isHidden(lastLine: string, dir: string): boolean {
  const name = /^FileNotFoundError: .*No such file or directory: '(.*)'$/.exec(lastLine)?.[1];
  const module = /^ModuleNotFoundError: No module named '(\w+)/.exec(lastLine)?.[1];
  return (name !== undefined && existsSync(resolve(dir, name))) || (module !== undefined && existsSync(resolve(dir, `${module}.py`)));
}
