// The settings of `offshoot serve`: one table, from which the checks of config file, environment and flags come (docs/service.md shows it).
// Flags win over the environment, that over the file, that over the defaults.

/** What a setting holds. */
type Kind = 'text' | 'number' | 'whole' | 'yesno' | 'list';

interface Setting { readonly kind: Kind; readonly otherwise: string | number | boolean | readonly string[]; readonly min?: number; readonly max?: number }

/** By name in the config file; the environment has it as OFFSHOOT_NAME. */
export const SETTINGS = {
  host: { kind: 'text', otherwise: '127.0.0.1' },
  port: { kind: 'whole', otherwise: 8080, min: 0, max: 65535 },
  keys: { kind: 'text', otherwise: '' },
  templates: { kind: 'list', otherwise: ['python'] },
  allowed_hosts: { kind: 'list', otherwise: [] },
  allowed_origins: { kind: 'list', otherwise: [] },
  trust_proxy: { kind: 'yesno', otherwise: false },
  public_metrics: { kind: 'yesno', otherwise: false },
  log_level: { kind: 'text', otherwise: 'info' },
  workers: { kind: 'whole', otherwise: 0, min: 0, max: 1024 },
  processes: { kind: 'whole', otherwise: 0, min: 0, max: 4096 },
  timeout_seconds: { kind: 'number', otherwise: 30, min: 0.001 },
  timeout_seconds_max: { kind: 'number', otherwise: 300, min: 0.001 },
  memory_mb_max: { kind: 'number', otherwise: 4096, min: 16, max: 4096 },
  output_mb_max: { kind: 'number', otherwise: 64, min: 0 },
  disk_mb_max: { kind: 'number', otherwise: 1024, min: 0 },
  body_mb_max: { kind: 'number', otherwise: 24, min: 0.01, max: 256 },
  upload_mb_max: { kind: 'number', otherwise: 4096, min: 0 },
  batch_max: { kind: 'whole', otherwise: 64, min: 1, max: 1024 },
  connections_max: { kind: 'whole', otherwise: 2048, min: 1 },
  requests_per_minute: { kind: 'whole', otherwise: 6000, min: 1 },
  concurrency: { kind: 'whole', otherwise: 64, min: 1 },
  sandboxes: { kind: 'whole', otherwise: 100, min: 0 },
  cpus: { kind: 'number', otherwise: 0, min: 0 },
  memory_mb_per_key: { kind: 'number', otherwise: 0, min: 0 },
  disk_mb_per_key: { kind: 'number', otherwise: 0, min: 0 },
  inodes_per_key: { kind: 'whole', otherwise: 0, min: 0 },
  processes_per_key: { kind: 'whole', otherwise: 0, min: 0 },
  files_per_key: { kind: 'whole', otherwise: 0, min: 0 },
  output_mb_per_key: { kind: 'number', otherwise: 0, min: 0 },
  kernel_memory_mb_per_key: { kind: 'number', otherwise: 0, min: 0 },
  timeout_seconds_per_key: { kind: 'number', otherwise: 0, min: 0 },
  runs_per_day: { kind: 'whole', otherwise: 0, min: 0 },
  cpu_seconds_per_day: { kind: 'whole', otherwise: 0, min: 0 },
  idle_seconds: { kind: 'number', otherwise: 300, min: 0.1 },
  idle_seconds_max: { kind: 'number', otherwise: 3600, min: 0.1 },
  lifetime_seconds: { kind: 'number', otherwise: 3600, min: 0.1 },
  lifetime_seconds_max: { kind: 'number', otherwise: 86_400, min: 0.1 },
  drain_seconds: { kind: 'number', otherwise: 30, min: 0 },
  stall_seconds: { kind: 'number', otherwise: 30, min: 0.1 },
} as const satisfies Readonly<Record<string, Setting>>;

type Name = keyof typeof SETTINGS;
type ValueOf<S extends Setting> =
  S['kind'] extends 'text' ? string : S['kind'] extends 'yesno' ? boolean : S['kind'] extends 'list' ? readonly string[] : number;

/** All settings, checked. */
export type Settings = { readonly [N in Name]: ValueOf<(typeof SETTINGS)[N]> };

/** A setting that cannot be: one sentence that names where it came from. */
export class SettingsError extends Error {}

/** Where a value was given: the sentence names it. */
type Given = Readonly<Record<string, unknown>>;

/** Puts them together. `file`: the config file's object; `flags`: those that were given. Throws SettingsError. */
export function settingsOf(file: unknown, env: Readonly<Record<string, string | undefined>>, flags: Given): Settings {
  if (typeof file !== 'object' || file === null || Array.isArray(file)) throw new SettingsError('The config file must hold one JSON object.');
  for (const name of Object.keys(file)) {
    if (!Object.hasOwn(SETTINGS, name)) throw new SettingsError(`The config file has "${name}", which is no setting: docs/service.md lists them.`);
  }
  const all: Record<string, unknown> = {};
  for (const [name, setting] of Object.entries(SETTINGS) as [Name, Setting][]) {
    const variable = `OFFSHOOT_${name.toUpperCase()}`;
    if (flags[name] !== undefined) all[name] = checked(`--${name}`, setting, fromText(setting, String(flags[name])));
    else if (env[variable] !== undefined) all[name] = checked(variable, setting, fromText(setting, env[variable]));
    else if (Object.hasOwn(file, name)) all[name] = checked(`"${name}" in the config file`, setting, (file as Given)[name]);
    else all[name] = setting.otherwise;
  }
  return all as unknown as Settings;
}

function fromText({ kind }: Setting, text: string): unknown {
  switch (kind) {
    case 'text': return text;
    case 'list': return text.split(',').map((part) => part.trim()).filter((part) => part !== '');
    case 'yesno': return text === 'true' || text === '1' ? true : text === 'false' || text === '0' ? false : text;
    default: return text.trim() === '' ? NaN : Number(text);
  }
}

function checked(where: string, { kind, min = -Infinity, max = Infinity }: Setting, value: unknown): unknown {
  const isFine = kind === 'text' ? typeof value === 'string'
    : kind === 'yesno' ? typeof value === 'boolean'
      : kind === 'list' ? Array.isArray(value) && value.every((each) => typeof each === 'string')
        : typeof value === 'number' && value >= min && value <= max && (kind === 'number' || Number.isInteger(value));
  if (isFine) return value;
  const what = { text: 'a text', yesno: 'true or false', list: 'a list of texts', number: 'a number', whole: 'a whole number' }[kind];
  const range = max < Infinity ? ` from ${min} to ${max}` : min > -Infinity ? ` from ${min}` : '';
  throw new SettingsError(`${where} must be ${what}${range}.`);
}
