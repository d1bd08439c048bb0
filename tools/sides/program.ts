// A program that runs on both sides, natively and in a sandbox, on the same image.

export interface Program {
  readonly argv: readonly string[];
  readonly timeoutMs: number;
  /** Guest memory; natively nothing is limited. */
  readonly memoryBytes: number;
}

/** Gets what the program writes: 1 standard output, 2 standard error. */
export type OnOutput = (stream: 1 | 2, text: string) => void;
