// Wheels for tests, made as PEP 427 says by Python's zipfile.

import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

const MAKE = `
import base64, hashlib, json, sys, zipfile
path, files = sys.argv[1], json.loads(sys.argv[2])
with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
    for name, text in files.items():
        wheel.writestr(name, text)
`;

/** Writes `dir`/NAME-VERSION-py3-none-any.whl with these files; returns its path. */
export function makeWheel(
  dir: string, name: string, version: string, files: Readonly<Record<string, string>>, entryPoints = '', metadata = '', tags = 'py3-none-any',
): string {
  const path = join(dir, `${name}-${version}-${tags}.whl`);
  const info = `${name}-${version}.dist-info`;
  const all: Record<string, string> = {
    ...files,
    [`${info}/METADATA`]: `Metadata-Version: 2.1\nName: ${name}\nVersion: ${version}\n${metadata}`,
    [`${info}/WHEEL`]: `Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: ${tags}\n`,
    ...(entryPoints === '' ? {} : { [`${info}/entry_points.txt`]: entryPoints }),
  };
  all[`${info}/RECORD`] ??= `${Object.keys(all).map((file) => `${file},,\n`).join('')}${info}/RECORD,,\n`;
  execFileSync('python3', ['-c', MAKE, path, JSON.stringify(all)]);
  return path;
}
