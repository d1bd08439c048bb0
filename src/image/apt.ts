// Packages from the host's apt, in private state directories: apt resolves dependencies, downloads (resuming partial
// files) and verifies signatures and checksums; the host's own package state is neither read nor changed.
//
// Interface: Apt (update, resolve, download), PackageFile. Manuals: apt-get(8), apt.conf(5), apt_preferences(5).

import { createHash } from 'node:crypto';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { runCommand } from './command.ts';
import type { CommandResult } from './command.ts';
import { HomeError, ImageError } from './errors.ts';
import { archiveSources } from './sources.ts';

const HOST_LISTS = '/var/lib/apt/lists';
/** How long to wait for another apt on the same private directories (one left over by a killed build). */
const LOCK_WAIT_MS = 60_000;
const LOCK_POLL_MS = 500;

/** One package to install. */
export interface PackageFile {
  readonly uri: string;
  /** File name of the package in the archives directory. */
  readonly file: string;
  readonly sizeBytes: number;
  /** Hex sha256, or '' when the archive gives none. */
  readonly sha256: string;
}

export interface AptOptions {
  signal?: AbortSignal | undefined;
  /** Share done, 0 to 1, and what apt says it does. */
  onProgress?: ((done: number, message: string) => void) | undefined;
}

/** apt-get on private directories. */
export class Apt {
  /** Where downloaded packages are. */
  readonly archives: string;
  readonly #dir: string;
  /** Why the last update failed: the likely reason if something is missing later. */
  #updateError: ImageError | null = null;

  readonly #leftOut: readonly string[];

  /**
   * `dir` is the private state directory; it may hold what an earlier, interrupted use left. Packages `leftOut` count as installed,
   * so that neither they nor what only they need is fetched.
   */
  constructor(dir: string, leftOut: readonly string[] = []) {
    this.#dir = dir;
    this.#leftOut = leftOut;
    this.archives = path.join(dir, 'archives');
  }

  /**
   * Fetches the package lists. Lists the host has and that are still current are not downloaded again.
   * When the archive cannot be reached but lists are there from before, they are used.
   * @param wide see archiveSources
   * @throws ImageError
   */
  async update(wide: boolean, options: AptOptions = {}): Promise<void> {
    await runCommand('apt-get', ['--version'], { signal: options.signal }); // where there is none, that is what to say
    this.#configure(wide);
    this.#takeHostLists();
    const result = await this.#run(['update', '-q', '-o', 'APT::Update::Error-Mode=any'], options);
    this.#updateError = result.code === 0 ? null : aptError('cannot fetch the package lists', result);
    if (this.#updateError && !this.#hasLists()) throw this.#updateError;
  }

  /**
   * The packages to install and all they depend on, sorted by file name.
   * @throws ImageError, see isUnknownPackage
   */
  async resolve(packages: readonly string[], options: AptOptions = {}): Promise<PackageFile[]> {
    const result = await this.#run(['install', '-qq', '-y', '--print-uris', '-o', 'Acquire::ForceHash=sha256', ...packages],
      options, path.join(this.#dir, 'no-archives'));
    if (result.code !== 0) throw this.#updateError ?? aptError('cannot resolve the packages of the image', result);
    const files: PackageFile[] = [];
    for (const line of result.stdout.split('\n')) {
      const match = /^'([^']+)' ([A-Za-z0-9+_.~%-]+\.deb) (\d+) (\S*)$/.exec(line);
      if (!match) continue;
      const [, uri, file, size, hash] = match;
      files.push({ uri, file, sizeBytes: Number(size), sha256: hash.startsWith('SHA256:') ? hash.slice(7) : '' });
    }
    return files.sort((a, b) => (a.file < b.file ? -1 : 1));
  }

  /** Bytes of `files` that are not there yet. */
  missingBytes(files: readonly PackageFile[]): number {
    return files.filter((file) => !fs.existsSync(path.join(this.archives, file.file))).reduce((sum, file) => sum + file.sizeBytes, 0);
  }

  /**
   * Downloads what is missing of `files` (the result of `resolve(packages)`) and checks all of them.
   * @throws ImageError
   */
  async download(packages: readonly string[], files: readonly PackageFile[], options: AptOptions = {}): Promise<void> {
    for (const file of files) if (!this.#isIntact(file)) fs.rmSync(path.join(this.archives, file.file), { force: true });
    const result = await this.#run(['install', '-q', '-y', '--download-only', ...packages], options);
    if (result.code !== 0) throw this.#updateError ?? aptError('cannot download the packages', result);
    const bad = files.find((file) => !this.#isIntact(file));
    if (bad) throw new ImageError(`${bad.file} was not downloaded intact from ${new URL(bad.uri).host}; try again`);
  }

  /** Removes downloaded packages that `files` does not list. */
  prune(files: readonly PackageFile[]): void {
    const wanted = new Set(files.map((file) => file.file));
    for (const name of fs.readdirSync(this.archives)) {
      if (name.endsWith('.deb') && !wanted.has(name)) fs.rmSync(path.join(this.archives, name), { force: true });
    }
  }

  #isIntact(file: PackageFile): boolean {
    try {
      const bytes = fs.readFileSync(path.join(this.archives, file.file));
      if (bytes.length !== file.sizeBytes) return false;
      return file.sha256 === '' || createHash('sha256').update(bytes).digest('hex') === file.sha256;
    } catch {
      return false;
    }
  }

  #configure(wide: boolean): void {
    for (const name of ['lists/partial', 'archives/partial', 'no-archives/partial', 'etc/sources', 'etc/empty']) {
      fs.mkdirSync(path.join(this.#dir, name), { recursive: true });
    }
    fs.writeFileSync(path.join(this.#dir, 'status'), this.#leftOut.map(installed).join(''));
    fs.writeFileSync(path.join(this.#dir, 'etc/sources/archive.sources'), archiveSources(wide));
    const pin = (origin: string) => `Package: *\nPin: release o=${origin}\nPin-Priority: 990\n`;
    fs.writeFileSync(path.join(this.#dir, 'etc/preferences'), `${pin('Debian')}\n${pin('Ubuntu')}`);
    fs.writeFileSync(path.join(this.#dir, 'apt.conf'), this.#config());
  }

  /** Read after the host's configuration (`-c`), so that proxies and mirrors of the host count but its hooks do not. */
  #config(): string {
    const hooks = ['APT::Update::Pre-Invoke', 'APT::Update::Post-Invoke', 'APT::Update::Post-Invoke-Success', 'APT::Architectures',
      'DPkg::Pre-Invoke', 'DPkg::Post-Invoke', 'DPkg::Pre-Install-Pkgs', 'AptCli::Hooks', 'APT::Default-Release', 'Acquire::Languages'];
    const settings: Record<string, string> = {
      'Dir::State': this.#dir, 'Dir::State::lists': `${this.#dir}/lists`, 'Dir::State::status': `${this.#dir}/status`,
      'Dir::Cache': this.#dir, 'Dir::Cache::archives': this.archives, 'Dir::Log': this.#dir,
      'Dir::Etc::sourcelist': '/dev/null', 'Dir::Etc::sourceparts': `${this.#dir}/etc/sources`,
      'Dir::Etc::preferences': `${this.#dir}/etc/preferences`, 'Dir::Etc::preferencesparts': `${this.#dir}/etc/empty`,
      'APT::Sandbox::User': '', 'APT::Architecture': 'amd64', 'APT::Architectures::': 'amd64',
      'APT::Install-Recommends': 'false', 'APT::Install-Suggests': 'false', 'APT::Get::AllowUnauthenticated': 'false',
      'Acquire::AllowInsecureRepositories': 'false', 'Acquire::Languages': 'none', 'Acquire::Retries': '2',
      'APT::Get::List-Cleanup': 'true', 'APT::Keep-Downloaded-Packages': 'true',
    };
    return hooks.map((name) => `#clear ${name};\n`).join('')
      + Object.entries(settings).map(([name, value]) => `${name} "${value}";\n`).join('');
  }

  /** Copies lists the host has: apt keeps those that are current and belong to our sources, and removes the others. */
  #takeHostLists(): void {
    let names: string[] = [];
    try {
      names = fs.readdirSync(HOST_LISTS).filter((name) => /_(InRelease|Packages(\.\w+)?)$/.test(name));
    } catch { /* none */ }
    if (this.#hasLists()) return;
    for (const name of names) {
      const to = path.join(this.#dir, 'lists', name);
      try {
        fs.copyFileSync(path.join(HOST_LISTS, name), to, fs.constants.COPYFILE_FICLONE);
        const { atime, mtime } = fs.statSync(path.join(HOST_LISTS, name));
        fs.utimesSync(to, atime, mtime);
      } catch {
        fs.rmSync(to, { force: true });
      }
    }
  }

  #hasLists(): boolean {
    return fs.readdirSync(path.join(this.#dir, 'lists')).some((name) => /_Packages(\.\w+)?$/.test(name));
  }

  async #run(args: string[], options: AptOptions, archives = this.archives): Promise<CommandResult> {
    const onStatus = (line: string) => {
      const match = /^dlstatus:[^:]*:([\d.]+):(.*)$/.exec(line);
      if (match) options.onProgress?.(Number(match[1]) / 100, match[2]);
    };
    const all = ['-c', `${this.#dir}/apt.conf`, '-o', 'APT::Status-Fd=3', '-o', `Dir::Cache::archives=${archives}`, ...args];
    for (let waitedMs = 0; ; waitedMs += LOCK_POLL_MS) {
      const result = await runCommand('apt-get', all, { signal: options.signal, onStatus });
      if (result.code === 0 || waitedMs >= LOCK_WAIT_MS || !result.stderr.includes('Could not get lock')) return result;
      await new Promise((resolve) => setTimeout(resolve, LOCK_POLL_MS));
    }
  }
}

/** A package in dpkg's status file, of a version that satisfies every dependency. */
function installed(name: string): string {
  const fields = { Package: name, Status: 'install ok installed', Version: '99:99', Architecture: 'amd64', Maintainer: 'none', Description: 'left out' };
  return `${Object.entries(fields).map(([key, value]) => `${key}: ${value}\n`).join('')}\n`;
}

/** Whether apt failed because a package is not in the lists it has. */
export function isUnknownPackage(error: unknown): boolean {
  return error instanceof ImageError && /Unable to locate package|has no installation candidate/.test(error.message);
}

/** One sentence out of what apt-get wrote. */
function aptError(doing: string, result: CommandResult): ImageError {
  const lines = `${result.stderr}\n${result.stdout}`.split('\n').flatMap((line) => /^\s*[EW]:\s*(.*)/.exec(line)?.[1] ?? []);
  const text = lines.join('\n');
  const first = lines[0] ?? '';
  if (/No space left|Disk quota|enough free space/.test(text)) {
    return new HomeError(`${doing}: the disk is full; free some space or set OFFSHOOT_HOME to a directory with more`);
  }
  if (/resolving|Could not connect|Connection (timed out|refused|failed)|Network is unreachable|No route/i.test(text)) {
    return new ImageError(`${doing}: no network, or the archive cannot be reached (${first}); the first use needs it, later ones do not`);
  }
  if (/NO_PUBKEY|is not signed|EXPKEYSIG|signatures? (couldn't|could not|were invalid)/i.test(text)) {
    return new ImageError(`${doing}: apt does not trust the archive (${first}); install debian-archive-keyring or ubuntu-keyring`);
  }
  if (/Permission denied/.test(text)) return new ImageError(`${doing}: permission denied (${first})`);
  return new ImageError(`${doing}: apt-get says ${first || `exit code ${result.code}`}`);
}
