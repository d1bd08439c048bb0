// Builds dist/ from src/ with plain tsc, copies the guest's Python files beside it and marks the command executable.
import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, existsSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
rmSync(root + 'dist', { recursive: true, force: true });
execFileSync(root + 'node_modules/.bin/tsc', ['-p', root + 'tsconfig.build.json'], { stdio: 'inherit', cwd: root });
if (existsSync(root + 'src/guest')) {
  cpSync(root + 'src/guest', root + 'dist/guest', { recursive: true, filter: (path) => !/\.(ts|c|lds)$/.test(path) });
}
if (existsSync(root + 'dist/cli/main.js')) chmodSync(root + 'dist/cli/main.js', 0o755);
