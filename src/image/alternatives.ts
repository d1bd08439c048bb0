// update-alternatives(1) without running anything: the calls in packages' postinst scripts are read as text, and the
// links they would make are made. Calls with variables or substitutions in the words needed cannot be read and are left out.
//
// Interface: parseAlternatives, applyAlternatives.

import type { ImageBuilder } from './pack.ts';

/** One link: `link` → /etc/alternatives/`name` → `path`. */
export interface Alternative {
  readonly link: string;
  readonly name: string;
  readonly path: string;
  readonly priority: number;
  /** Links that follow the choice of this one. */
  readonly slaves: readonly Omit<Alternative, 'priority' | 'slaves'>[];
}

const PLAIN_WORD = /^[A-Za-z0-9_.+:,@/-]+$/;

function triple(words: readonly string[]): { link: string; name: string; path: string } | null {
  const [link, name, path] = words;
  const plain = [link, name, path].every((word) => word !== undefined && PLAIN_WORD.test(word) && !word.includes('..'));
  return plain && link.startsWith('/') && path.startsWith('/') && !name.includes('/') ? { link, name, path } : null;
}

/** The `update-alternatives --install` calls in a shell script. */
export function parseAlternatives(script: string): Alternative[] {
  const alternatives: Alternative[] = [];
  for (const line of script.replace(/\\\n/g, ' ').split('\n')) {
    const call = /\bupdate-alternatives\s(.*)/.exec(line);
    if (!call) continue;
    const words = call[1].trim().split(/\s+/).map((word) => word.replace(/^(["'])(.*)\1$/, '$2'));
    const at = words.indexOf('--install');
    const main = at < 0 ? null : triple(words.slice(at + 1));
    const priority = Number(words[at + 4]);
    if (!main || !Number.isInteger(priority)) continue;
    const slaves = [];
    for (let i = at + 5; words[i] === '--slave'; i += 4) {
      const slave = triple(words.slice(i + 1));
      if (slave) slaves.push(slave);
    }
    alternatives.push({ ...main, priority, slaves });
  }
  return alternatives;
}

/** Makes the links of the best alternative of each name whose file is in the image. */
export function applyAlternatives(builder: ImageBuilder, alternatives: readonly Alternative[]): void {
  const best = new Map<string, Alternative>();
  for (const alternative of alternatives) {
    const other = best.get(alternative.name);
    if (builder.tree.get(alternative.path) && (!other || other.priority < alternative.priority)) best.set(alternative.name, alternative);
  }
  for (const alternative of best.values()) {
    for (const { link, name, path } of [alternative, ...alternative.slaves]) {
      if (!builder.tree.get(path)) continue;
      builder.symlink(`/etc/alternatives/${name}`, path);
      if (!builder.tree.get(link, false)) builder.symlink(link, `/etc/alternatives/${name}`);
    }
  }
}
