// Runs a conformance case inside a sandbox, as a user would: a fork of the python template, a program brought in through
// standard input, then executed in an empty directory with nothing but the environment of every run.

import { readFileSync } from 'node:fs';
import { Engine, type Template } from '../../src/engine/index.ts';
import { ENV, commandOf, type Job, type Outcome } from './native.ts';

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

  /** Runs the job in a fresh fork. `onTrace` gets its system calls, one line each. */
  async run(job: Job, onTrace?: (line: string) => void): Promise<Outcome> {
    const sandbox = await this.template.fork();
    try {
      const result = await sandbox.exec(['/bin/bash', '-c', script(job)], {
        stdin: readFileSync(job.program), timeoutMs: job.timeoutMs, ...(onTrace && { onTrace }),
      });
      const note = result.timedOut ? '[timed out]' : result.limit !== null ? `[limit ${result.limit}: ${result.reason}]` : '';
      return {
        stdout: result.stdout.toString('latin1'), stderr: result.stderr.toString('latin1') + note,
        exitCode: result.signal === null ? result.exitCode : null, signal: result.signal,
      };
    } finally {
      await sandbox.close();
    }
  }
}

/** What a sandbox can run: its only user is 1000. */
export function cannotRunInSandbox(uid: number): string | null {
  return uid === 1000 ? null : 'sandboxes have no other user than 1000';
}

function script(job: Job): string {
  const program = `${ROOT}/${job.isPython ? 'case.py' : 'case'}`;
  const variables = Object.entries(ENV).map(([name, value]) => `${name}='${value}'`);
  return [
    `mkdir -p ${ROOT}/work`, `cat > ${program}`, `chmod 755 ${program}`, `cd ${ROOT}/work`,
    `exec env -i ${variables.join(' ')} ${commandOf(job, program).join(' ')} < /dev/null`,
  ].join(' && ');
}
