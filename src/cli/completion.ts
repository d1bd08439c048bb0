// `offshoot completion SHELL`: a script for bash, zsh or fish, made from the commands and options there are.

import type { Command } from 'commander';
import { UsageError } from './fail.ts';

interface Word { readonly path: string; readonly words: readonly string[] }

/** All words that may follow each command. */
function words(command: Command, path: readonly string[] = []): Word[] {
  const flags = command.options.flatMap(({ short, long }) => [short, long].filter((flag) => flag !== undefined));
  const here = [...command.commands.map((sub) => sub.name()), ...flags, '--help'];
  return [{ path: path.join(' '), words: here }, ...command.commands.flatMap((sub) => words(sub, [...path, sub.name()]))];
}

/** The script for a shell. Throws UsageError for another. */
export function completionScript(root: Command, shell: string): string {
  const all = words(root);
  if (shell === 'bash') return bash(all);
  if (shell === 'zsh') return `#compdef offshoot\nautoload -U +X bashcompinit && bashcompinit\n${bash(all)}`;
  if (shell === 'fish') return fish(all);
  throw new UsageError(`completion is there for bash, zsh and fish, not "${shell}".`);
}

/** Where no command or option fits, the shell completes file names (-o default). */
function bash(all: readonly Word[]): string {
  const cases = all.map(({ path, words: list }) => {
    const [flags, commands] = [true, false].map((isFlag) => list.filter((word) => word.startsWith('-') === isFlag).join(' '));
    return `    '${path}') flags='${flags}' commands='${commands}' ;;\n`;
  }).join('');
  return `_offshoot() {
  local path='' word words flags='' commands='' at current="\${COMP_WORDS[COMP_CWORD]}"
  for ((at = 1; at < COMP_CWORD && at <= 2; at++)); do
    word="\${COMP_WORDS[at]}"
    case "\${path:+$path }$word" in
${all.filter(({ path }) => path !== '').map(({ path }) => `      '${path}') path='${path}' ;;\n`).join('')}    esac
  done
  case "$path" in
${cases}  esac
  words="$commands"
  if [[ $current == -* ]]; then words="$flags"; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _offshoot offshoot
`;
}

function fish(all: readonly Word[]): string {
  return all.map(({ path, words: list }) => {
    const condition = path === '' ? '__fish_use_subcommand' : path.split(' ').map((word) => `__fish_seen_subcommand_from ${word}`).join('; and ');
    const commands = list.filter((word) => !word.startsWith('-'));
    const flags = list.filter((word) => word.startsWith('--')).map((word) => `complete -c offshoot -n '${condition}' -l ${word.slice(2)}\n`);
    return (commands.length > 0 ? `complete -c offshoot -f -n '${condition}' -a '${commands.join(' ')}'\n` : '') + flags.join('');
  }).join('');
}
