// What a build tells about itself while it works.

/**
 * One step forward. The first event of a build is `plan`: what it is going to do, in one sentence.
 * `done` of `total` in units of the phase (a share of 1, or
 * packages).
 */
export interface ProgressEvent {
  readonly phase: 'plan' | 'wait' | 'lists' | 'download' | 'unpack' | 'pack' | 'done';
  readonly done: number;
  readonly total: number;
  readonly message: string;
}

export type OnProgress = (event: ProgressEvent) => void;
