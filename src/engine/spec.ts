// How templates are built: those that come with Offshoot, and those that users described, kept as templates/NAME.json.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { specOf, type ImageSpec } from '../image/specs.ts';
import { OffshootError } from './errors.ts';
import { specPath } from './home.ts';

/** How a template is built. */
export interface TemplateSpec {
  readonly name: string;
  /** Image it runs on. */
  readonly image: ImageSpec;
  /** Modules imported before the snapshot point. */
  readonly preload: readonly string[];
  /** Whether USUAL_MODULES are imported before those, as far as the image has them. */
  readonly usual: boolean;
  /** Python source that runs after the imports, before the snapshot point, and the file name it has in tracebacks; or null. */
  readonly setup: { readonly filename: string; readonly source: string } | null;
  /** Added to ENVIRONMENT for the build and for every run. */
  readonly env: Readonly<Record<string, string>>;
  /** Most memory it may use while it is built, and what its sandboxes may use unless the caller says otherwise; 0: the defaults. */
  readonly memoryBytes: number;
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

/** The first plot of a program finds fonts, the second does not: draw one beforehand. */
const DATA_SETUP = `import io
import pandas
import matplotlib.pyplot as plt
figure = plt.figure()
figure.add_subplot().plot(pandas.DataFrame({"a": [1, 2, 4]})["a"], label="warm")
figure.savefig(io.BytesIO(), format="png")
plt.close("all")
`;

const OWNER = { uid: 1000, gid: 1000, cwd: '/home/user' } as const;

const SPECS: readonly TemplateSpec[] = [
  { name: 'python', image: specOf('python'), preload: [...COMMON, 'numpy'], usual: false, setup: null, env: {}, memoryBytes: 0, ...OWNER },
  {
    name: 'data', image: specOf('data'), preload: [...COMMON, 'numpy', 'pandas', 'matplotlib.pyplot', 'scipy'], usual: false,
    setup: { filename: '<setup>', source: DATA_SETUP }, env: { MPLBACKEND: 'Agg' }, memoryBytes: 0, ...OWNER,
  },
];

/** Environment of every program unless the template or the caller says otherwise; templates are built under it. */
export const ENVIRONMENT: Readonly<Record<string, string>> = {
  PATH: '/usr/local/bin:/usr/bin:/bin', HOME: '/home/user', USER: 'user', LOGNAME: 'user', SHELL: '/bin/bash', LANG: 'C.UTF-8',
};

/** A template of a user's own: what is not given is as for `python`. */
export function userSpec(parts: Pick<TemplateSpec, 'name' | 'image'> & Partial<TemplateSpec>): TemplateSpec {
  return { preload: [], usual: true, setup: null, env: {}, memoryBytes: 0, ...OWNER, ...parts };
}

/** What a user's template imports at least. */
export const USUAL_MODULES: readonly string[] = [...COMMON, 'numpy'];

/** Whether the name stands for a template that comes with Offshoot. */
export function isBuiltIn(name: string): boolean {
  return SPECS.some((spec) => spec.name === name);
}

/** Names of the templates that come with Offshoot. */
export function builtInNames(): string[] {
  return SPECS.map((spec) => spec.name);
}

/** Whether a template of a user may have this name: it becomes a file name. */
export function isTemplateName(name: string): boolean {
  return /^[a-z0-9][a-z0-9_-]{0,62}$/.test(name);
}

/** The spec called `name` in this home, or undefined. Throws OffshootError when its description cannot be read. */
export function templateSpec(name: string, home: string): TemplateSpec | undefined {
  const builtIn = SPECS.find((spec) => spec.name === name);
  if (builtIn || !isTemplateName(name)) return builtIn;
  let text: string;
  try {
    text = readFileSync(specPath(home, name), 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const spec = JSON.parse(text) as TemplateSpec;
    if (spec.name === name && typeof spec.image.from === 'string' && Array.isArray(spec.preload)) return spec;
  } catch { /* below */ }
  throw new OffshootError('template-unknown', `The description of template "${name}" (${specPath(home, name)}) is damaged: build it again with its options.`);
}

/** Identifies what a template's program is, apart from its image. */
export function specId(spec: TemplateSpec): string {
  const { preload, usual, setup, env, memoryBytes, uid, gid, cwd, image } = spec;
  return createHash('sha256').update(JSON.stringify([preload, usual, setup, env, memoryBytes, uid, gid, cwd, image.name])).digest('hex').slice(0, 32);
}
