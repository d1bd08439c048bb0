// A run's result as JSON: the same object for the command's --json and for the service.

import { isUtf8 } from 'node:buffer';
import type { ExecResult } from '../api/exec.ts';
import type { RunResult } from '../engine/run.ts';

/** Output that is not UTF-8 is given once more, exactly, in base64. */
export function resultJson(result: RunResult): ExecResult {
  const json: ExecResult = {
    id: result.id, template: result.template, stdout: result.stdout.toString('utf8'), stderr: result.stderr.toString('utf8'),
    exit_code: result.exitCode, ended: endedOf(result), reason: result.reason,
    signal: result.signal, timed_out: result.timedOut, limit: result.limit, limits_met: [...result.limitsMet],
    fork_time_ms: result.forkTimeMs, exec_time_ms: result.execTimeMs, total_time_ms: result.totalTimeMs,
    wait_time_ms: result.waitTimeMs, cpu_time_ms: result.cpuTimeMs, pooled: result.pooled, rewound: result.rewound,
    dirty_pages: result.dirtyPages, syscalls: result.syscalls, unimplemented: result.unimplemented,
  };
  if (!isUtf8(result.stdout)) json.stdout_base64 = result.stdout.toString('base64');
  if (!isUtf8(result.stderr)) json.stderr_base64 = result.stderr.toString('base64');
  return json;
}

/** Why it ended, in a word. */
export function endedOf({ limit, signal }: RunResult): ExecResult['ended'] {
  return limit ?? (signal === null ? 'exit' : 'signal');
}
