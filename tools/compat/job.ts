// What running one program of a suite gave: shared by both sides, and what is kept as JSON.
//
// Interface: Outcome, Collector (turns a program's output into the reports of its tests, see cpython.py).

/** How a test ended. A test that was started and never ended is `lost`. */
export type Verdict = 'ok' | 'fail' | 'error' | 'skip' | 'lost';

export interface Outcome {
  /** Exit code, 128 + signal; null when its time was up. */
  readonly exitCode: number | null;
  readonly timeMs: number;
  /** What the suite's runner made of the file: `good`, `skipped`, `bad` …; null when it did not get there. */
  readonly file: string | null;
  readonly tests: Readonly<Record<string, Verdict>>;
  /** Why each test that is not ok is not. */
  readonly details: Readonly<Record<string, string>>;
  /** The last of what was printed. */
  readonly tail: string;
  /** The sandbox's own words, where it ended in another way than by exit. */
  readonly reason: string | null;
  readonly unimplemented: Readonly<Record<string, number>>;
}

const TAIL_CHARS = 4000;
const RANK: readonly Verdict[] = ['lost', 'ok', 'skip', 'fail', 'error'];

/** Gathers output and reports as they come. */
export class Collector {
  private readonly tests: Record<string, Verdict> = {};
  private readonly details: Record<string, string> = {};
  private file: string | null = null;
  private tail = '';
  private line = '';

  push(text: string): void {
    const lines = (this.line + text).split('\n');
    this.line = lines.pop() as string;
    for (const line of lines) this.take(line);
  }

  finish(end: Pick<Outcome, 'exitCode' | 'timeMs' | 'reason' | 'unimplemented'>): Outcome {
    if (this.line !== '') this.take(this.line);
    return { ...end, file: this.file, tests: this.tests, details: this.details, tail: this.tail };
  }

  private take(line: string): void {
    const report = line.startsWith('\x1e') ? parse(line.slice(1)) : null;
    if (report === null) this.tail = (this.tail + line + (line === '' ? '' : '\n')).slice(-TAIL_CHARS);
    else if (report[0] === 'file') this.file = report[1];
    else this.verdict(report[0] === 'start' ? 'lost' : report[0] as Verdict, report[1], report[2]);
  }

  /** Of several reports of one test (its parts, its clean-up) the worst counts. */
  private verdict(verdict: Verdict, name: string, detail: string): void {
    const known = this.tests[name];
    if (known !== undefined && RANK.indexOf(known) >= RANK.indexOf(verdict)) return;
    this.tests[name] = verdict;
    if (detail !== '') this.details[name] = detail;
  }
}

function parse(text: string): [string, string, string] | null {
  try {
    return JSON.parse(text) as [string, string, string];
  } catch {
    return null;
  }
}
