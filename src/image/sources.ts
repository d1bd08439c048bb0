// Which archives packages are taken from: the host's own Debian or Ubuntu archive entries, sources.list(5), in both of
// its formats. Third-party entries are left out: they may be unreachable, and nothing is needed from them.
//
// Interface: archiveSources (host files → one deb822 file's text), parseSources and selectSources for tests.

import * as fs from 'node:fs';
import { ImageError, OTHER_SOURCES } from './errors.ts';

/** One stanza of a deb822 file: lower-case field names → values, continuation lines included. */
export type Stanza = ReadonlyMap<string, string>;

/** Release names of the host from os-release(5): which suites are "its own". */
export interface Release {
  /** "bookworm", "noble" …, the first one known. */
  codenames: readonly string[];
  ubuntu: boolean;
}

const ALIASES = new Set(['stable', 'testing', 'unstable', 'sid', 'oldstable', 'oldoldstable']);
const POCKETS = new Set(['', '-updates', '-security', '/updates']);

/** Reads os-release text. */
export function parseRelease(text: string): Release {
  const value = (key: string) => new RegExp(`^${key}="?([^"\\n]*)"?$`, 'm').exec(text)?.[1] ?? '';
  const codenames = ['VERSION_CODENAME', 'UBUNTU_CODENAME', 'DEBIAN_CODENAME'].map(value).filter((name) => name !== '');
  return { codenames, ubuntu: value('ID') === 'ubuntu' || value('UBUNTU_CODENAME') !== '' };
}

/** Reads one sources file; `name` decides the format by its ending, as apt does. */
export function parseSources(name: string, text: string): Stanza[] {
  return name.endsWith('.sources') ? parseDeb822(text) : text.split('\n').flatMap(parseLine);
}

function parseDeb822(text: string): Stanza[] {
  const stanzas: Stanza[] = [];
  for (const block of text.split(/\n[ \t]*\n/)) {
    const fields = new Map<string, string>();
    let last = '';
    for (const line of block.split('\n')) {
      if (line.startsWith('#')) continue;
      const field = /^([A-Za-z0-9-]+):(.*)$/.exec(line);
      if (field) fields.set(last = field[1].toLowerCase(), field[2].trim());
      else if (/^[ \t]/.test(line) && last !== '') fields.set(last, `${fields.get(last)}\n${line}`);
    }
    if (fields.size > 0) stanzas.push(fields);
  }
  return stanzas;
}

/** `deb [option=value …] URI suite component…`; the option names are the deb822 field names apart from two. */
function parseLine(line: string): Stanza[] {
  const match = /^\s*deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s*([^#]*)/.exec(line);
  if (!match) return [];
  const fields = new Map([['types', 'deb'], ['uris', match[2]], ['suites', match[3]], ['components', match[4].trim()]]);
  for (const option of (match[1] ?? '').split(/\s+/)) {
    const pair = /^([a-z-]+)=(.+)$/.exec(option);
    if (!pair) continue;
    const key = pair[1] === 'arch' ? 'architectures' : pair[1] === 'lang' ? 'languages' : pair[1];
    fields.set(key, pair[2].replaceAll(',', ' '));
  }
  return [fields];
}

function words(stanza: Stanza, key: string): string[] {
  return (stanza.get(key) ?? '').split(/\s+/).filter((word) => word !== '');
}

function isOwnSuite(suite: string, names: ReadonlySet<string>): boolean {
  const base = suite.replace(/(-updates|-security|\/updates)$/, '');
  return names.has(base) && POCKETS.has(suite.slice(base.length));
}

/**
 * The stanzas that are this release's archive, reduced to the given components, to package lists (no Contents,
 * translations or icons) and to amd64.
 */
export function selectSources(stanzas: readonly Stanza[], release: Release, components: readonly string[]): Stanza[] {
  for (const names of [new Set(release.codenames), ALIASES]) {
    const selected = stanzas.flatMap((stanza): Stanza[] => {
      const enabled = !/^(no|false|0|off|without|disable)$/i.test(stanza.get('enabled') ?? 'yes');
      const architectures = words(stanza, 'architectures');
      const suites = words(stanza, 'suites').filter((suite) => isOwnSuite(suite, names));
      const own = words(stanza, 'components').filter((component) => components.includes(component));
      const uris = words(stanza, 'uris').filter((uri) => !uri.startsWith('cdrom:'));
      if (!enabled || !words(stanza, 'types').includes('deb') || !suites.length || !own.length || !uris.length) return [];
      if (architectures.length > 0 && !architectures.includes('amd64')) return [];
      return [new Map([...stanza, ['types', 'deb'], ['uris', uris.join(' ')], ['suites', suites.join(' ')],
        ['components', own.join(' ')], ['architectures', 'amd64'], ['languages', 'none'], ['targets', 'Packages'], ['pdiffs', 'no']])];
    });
    if (selected.length > 0) return selected;
  }
  return [];
}

function readHostSources(etcApt: string): Stanza[] {
  const files: string[] = [`${etcApt}/sources.list`];
  try {
    const parts = fs.readdirSync(`${etcApt}/sources.list.d`).sort();
    files.push(...parts.filter((name) => /^[\w.-]+\.(list|sources)$/.test(name)).map((name) => `${etcApt}/sources.list.d/${name}`));
  } catch { /* no such directory */ }
  return files.flatMap((file) => {
    try {
      return parseSources(file, fs.readFileSync(file, 'utf8'));
    } catch {
      return [];
    }
  });
}

/**
 * The text of a deb822 sources file with the host's archive entries.
 * @param wide also components beyond `main` that hold free software (Ubuntu's universe)
 * @throws ImageError when the host has none
 */
export function archiveSources(wide: boolean, etcApt = '/etc/apt', osRelease = '/etc/os-release'): string {
  let text = '';
  try {
    text = fs.readFileSync(osRelease, 'utf8');
  } catch { /* no such file: only aliases such as "stable" can match */ }
  const selected = selectSources(readHostSources(etcApt), parseRelease(text), wide ? ['main', 'universe'] : ['main']);
  if (selected.length === 0) {
    throw new ImageError(`no Debian or Ubuntu archive of this host's release is listed in ${etcApt}/sources.list or `
      + `${etcApt}/sources.list.d: add it, or ${OTHER_SOURCES}`);
  }
  return selected.map((stanza) => [...stanza].map(([key, value]) => `${key}: ${value}\n`).join('')).join('\n');
}
