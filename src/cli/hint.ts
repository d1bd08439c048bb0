// What to type when a program fails because its template lacks a Python module.

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
