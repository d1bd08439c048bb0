// Which of a host's package sources are used, and update-alternatives calls read out of scripts.

import assert from 'node:assert';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import test from 'node:test';
import { parseAlternatives } from '../../src/image/alternatives.ts';
import { archiveSources, parseRelease, parseSources, selectSources } from '../../src/image/sources.ts';

const BOOKWORM = parseRelease('ID=debian\nVERSION_CODENAME=bookworm\n');
const NOBLE = parseRelease('ID=ubuntu\nVERSION_CODENAME=noble\nUBUNTU_CODENAME=noble\n');

function select(name: string, text: string, release = BOOKWORM, components = ['main']) {
  const stanzas = selectSources(parseSources(name, text), release, components);
  return stanzas.map((stanza) => [stanza.get('uris'), stanza.get('suites'), stanza.get('components')]);
}

test('deb822: own suites and components, third parties and disabled entries left out', () => {
  const text = `# a comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates bookworm-backports
Components: main contrib non-free-firmware
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Types: deb
URIs: http://mirror.example/debian-security
Suites: bookworm-security
Components: main

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb
URIs: https://apt.example.com/
Suites: nodistro
Components: main

Types: deb
URIs: https://download.example.com/linux/debian
Suites: bookworm
Components: stable
`;
  assert.deepStrictEqual(select('debian.sources', text), [
    ['http://mirror.example/debian', 'bookworm bookworm-updates', 'main'],
    ['http://mirror.example/debian-security', 'bookworm-security', 'main'],
  ]);
  const [first] = selectSources(parseSources('x.sources', text), BOOKWORM, ['main']);
  assert.match(first.get('signed-by') ?? '', /BEGIN PGP[^]*\n \.\n abc$/);
  assert.deepStrictEqual([first.get('types'), first.get('targets'), first.get('architectures')], ['deb', 'Packages', 'amd64']);
});

test('one-line format with options', () => {
  const text = `deb [arch=amd64,i386 signed-by=/k.gpg] http://a.example/debian bookworm main contrib # note
# deb http://b.example/debian bookworm main
deb-src http://c.example/debian bookworm main
deb [arch=arm64] http://d.example/debian bookworm main
deb cdrom:[Debian]/ bookworm main
deb https://pgdg.example bookworm-pgdg main
deb http://old.example/ bookworm/updates main
`;
  assert.deepStrictEqual(select('sources.list', text), [
    ['http://a.example/debian', 'bookworm', 'main'], ['http://old.example/', 'bookworm/updates', 'main'],
  ]);
  assert.strictEqual(selectSources(parseSources('sources.list', text), BOOKWORM, ['main'])[0].get('signed-by'), '/k.gpg');
});

test('aliases count when the code name is not used; Ubuntu takes universe when asked', () => {
  assert.deepStrictEqual(select('sources.list', 'deb http://a.example/ stable main\n'), [['http://a.example/', 'stable', 'main']]);
  assert.deepStrictEqual(select('sources.list', 'deb http://a.example/ stable main\ndeb http://a.example/ bookworm main\n'),
    [['http://a.example/', 'bookworm', 'main']]);
  const ubuntu = 'Types: deb\nURIs: http://archive.example/ubuntu/\nSuites: noble noble-updates noble-backports noble-security\n'
    + 'Components: main restricted universe multiverse\n';
  const main = ['http://archive.example/ubuntu/', 'noble noble-updates noble-security', 'main'];
  assert.deepStrictEqual(select('ubuntu.sources', ubuntu, NOBLE), [main]);
  assert.deepStrictEqual(select('ubuntu.sources', ubuntu, NOBLE, ['main', 'universe'])[0][2], 'main universe');
});

test('a host without an archive gets one sentence', (t) => {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'offshoot-sources-'));
  t.after(() => fs.rmSync(dir, { recursive: true, force: true }));
  assert.throws(() => archiveSources(false, dir, '/nonexistent'), /no Debian or Ubuntu archive/);
  fs.writeFileSync(path.join(dir, 'sources.list'), 'deb http://a.example/ sid main\n');
  assert.match(archiveSources(false, dir, '/nonexistent'), /^uris: http:\/\/a\.example\/$/m);
});

test('alternatives are read from scripts, slaves too; what needs a shell is left out', () => {
  const script = `#!/bin/sh
if [ "$1" = configure ]; then
	update-alternatives --install /usr/bin/awk awk /usr/bin/mawk 5 \\
		--slave /usr/bin/nawk nawk /usr/bin/mawk \\
		--slave "$X" y /z
fi
update-alternatives --quiet --install /usr/bin/pager pager \\
   /usr/bin/less 77 || true
update-alternatives --install "$BINPATH"/x x /y 1
update-alternatives --install /usr/bin/p ../../p /y 1
update-alternatives --install '/usr/bin/q' "q" /y 3
update-alternatives --remove w /usr/bin/w.procps
`;
  const found = parseAlternatives(script).map((main) => [main.name, main.path, main.priority, main.slaves.map((slave) => slave.link)]);
  assert.deepStrictEqual(found, [
    ['awk', '/usr/bin/mawk', 5, ['/usr/bin/nawk']], ['pager', '/usr/bin/less', 77, []], ['q', '/y', 3, []],
  ]);
});
