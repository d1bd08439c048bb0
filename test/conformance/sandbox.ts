// Runs a conformance case inside a sandbox, as a user would: a fork of the python template, a program brought in through
// standard input, then executed in an empty directory with nothing but the environment of every run.

import { readFileSync } from 'node:fs';
import { Engine, type RunResult, type Template } from '../../src/engine/index.ts';
import { ENV, commandOf, fileNameOf, type Job, type Outcome } from './native.ts';

const ROOT = '/tmp/case';

/** One engine for all cases of a test file. */
export class Sandboxes {
  private readonly engine: Engine;
  private readonly template: Template;

  private constructor(engine: Engine, template: Template) {
    this.engine = engine;
    this.template = template;
  }

  static async open(): Promise<Sandboxes> {
    const engine = await Engine.open({ workers: 1 });
    return new Sandboxes(engine, await engine.template('python'));
  }

  async close(): Promise<void> {
    await this.engine.close();
  }

  /** Runs the job in a fresh fork; also tells how many system calls that took. `onTrace` gets them, one line each. */
  async run(job: Job, onTrace?: (line: string) => void): Promise<{ readonly outcome: Outcome; readonly syscalls: number }> {
    const sandbox = await this.template.fork();
    try {
      const result = await sandbox.run(script(job), {
        stdin: readFileSync(job.program), timeoutMs: job.timeoutMs, ...(onTrace && { onTrace }),
      });
      return { outcome: outcomeOf(result), syscalls: result.syscalls };
    } finally {
      await sandbox.close();
    }
  }
}

/** A sandbox's result as what is compared. */
export function outcomeOf(result: Omit<RunResult, 'id' | 'template'>): Outcome {
  const note = result.timedOut ? '[timed out]' : result.limit !== null ? `[limit ${result.limit}: ${result.reason}]` : '';
  return {
    stdout: result.stdout.toString('latin1'), stderr: result.stderr.toString('latin1') + note,
    exitCode: result.signal === null ? result.exitCode : null, signal: result.signal,
  };
}

/** Python rather than a shell: the template has it loaded, so a case costs one program start. */
export function script(job: Job): string {
  const program = `${ROOT}/${fileNameOf(job)}`;
  return `
import os, signal, sys
os.makedirs('${ROOT}/work')
with open('${program}', 'wb') as file:
    file.write(sys.stdin.buffer.read())
os.chmod('${program}', 0o755)
os.chdir('${ROOT}/work')
os.umask(0o22)
os.dup2(os.open('/dev/null', os.O_RDONLY), 0)
for ignored in signal.SIGPIPE, signal.SIGXFSZ:
    signal.signal(ignored, signal.SIG_DFL)
argv = ${JSON.stringify(commandOf(job, program))}
os.execve(argv[0], argv, ${JSON.stringify(ENV)})
`;
}
