// The templates that can be built by name: which image, which program, what it preloads.

/** How a template is built. */
export interface TemplateSpec {
  readonly name: string;
  /** Image it runs on. */
  readonly image: string;
  /** Modules imported before the snapshot point. */
  readonly preload: readonly string[];
  /** Python file in the image that runs after the imports, before the snapshot point. */
  readonly setup?: string;
  readonly uid: number;
  readonly gid: number;
  readonly cwd: string;
}

/** What nearly every program imports, so that no sandbox pays for it. */
const COMMON = [
  'abc', 'argparse', 'base64', 'bisect', 'collections', 'contextlib', 'copy', 'csv', 'dataclasses', 'datetime', 'decimal', 'enum', 'fractions',
  'functools', 'glob', 'hashlib', 'heapq', 'inspect', 'io', 'itertools', 'json', 'logging', 'math', 'operator', 'os', 'pathlib', 'pickle', 'platform',
  'random', 're', 'secrets', 'shutil', 'signal', 'ssl', 'statistics', 'string', 'struct', 'subprocess', 'sys', 'tempfile', 'textwrap', 'threading', 'time',
  'traceback', 'types', 'typing', 'urllib.parse', 'uuid', 'warnings', 'weakref', 'zlib',
];

const SPECS: readonly TemplateSpec[] = [
  { name: 'python', image: 'python', preload: [...COMMON, 'numpy'], uid: 1000, gid: 1000, cwd: '/home/user' },
];

/** Environment of every program unless the caller says otherwise; templates are built under it. */
export const ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: '/usr/local/bin:/usr/bin:/bin', HOME: '/home/user', USER: 'user', LOGNAME: 'user', SHELL: '/bin/bash', LANG: 'C.UTF-8',
};

/** The spec called `name`, or undefined. */
export function templateSpec(name: string): TemplateSpec | undefined {
  return SPECS.find((spec) => spec.name === name);
}

/** Names that can be built. */
export function templateNames(): string[] {
  return SPECS.map((spec) => spec.name);
}
