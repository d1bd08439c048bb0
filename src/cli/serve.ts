// `offshoot serve`: settings from flags, environment and file; then until a signal ends it.

import { existsSync, readFileSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { join, resolve } from 'node:path';
import { compileCache } from '../engine/workerprocess.ts';
import { offshootHome } from '../image/home.ts';
import { KeyFileError } from '../server/keyfile.ts';
import { SettingsError, settingsOf, type Settings } from '../server/settings.ts';
import type { StartInit } from '../server/start.ts';
import { UsageError } from './fail.ts';

export interface ServeFlags {
  readonly host?: string;
  readonly port?: string;
  readonly keys?: string;
  readonly config?: string;
}

/** Where `keys create` puts keys and `serve` looks for them unless told otherwise. */
export function defaultKeyFile(): string {
  return join(offshootHome(), 'keys.json');
}

/** offshoot serve */
export async function serve({ config, ...flags }: ServeFlags): Promise<void> {
  const settings = known(() => settingsOf(config === undefined ? {} : readConfig(config), process.env, flags));
  enableCompileCache(compileCache(offshootHome()).NODE_COMPILE_CACHE);
  const { startService } = await import('../server/start.ts'); // 600 modules, compiled before
  const running = await startService(startInit(settings)).catch((error: unknown) => {
    throw error instanceof SettingsError || error instanceof KeyFileError ? new UsageError(error.message) : error;
  });
  await new Promise<void>((ended) => {
    let signals = 0;
    const stop = (): void => {
      if (signals++ > 0) process.exit(1); // workers end with their parent
      void running.stop().then(ended);
    };
    process.on('SIGTERM', stop).on('SIGINT', stop);
  });
  process.exit(0);
}

function startInit(settings: Settings): StartInit {
  const home = offshootHome();
  if (settings.keys !== '') {
    const keyFile = resolve(settings.keys);
    if (!existsSync(keyFile)) throw new UsageError(`there is no key file ${settings.keys}: make a key with "offshoot keys create --keys ${settings.keys}".`);
    return { settings, home, keyFile };
  }
  return { settings, home, keyFile: existsSync(defaultKeyFile()) ? defaultKeyFile() : null };
}

function readConfig(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(code === undefined ? `the config file ${path} is not JSON.` : `the config file ${path} cannot be read (${code}).`);
  }
}

function known<T>(make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw error instanceof SettingsError ? new UsageError(error.message) : error;
  }
}
