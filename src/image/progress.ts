// What a build tells about itself while it works.

/** One step forward. `done` of `total` in units of the phase (a share of 1, or packages). */
export interface ProgressEvent {
  readonly phase: 'wait' | 'lists' | 'download' | 'unpack' | 'pack' | 'packed';
  readonly done: number;
  readonly total: number;
  readonly message: string;
}

export type OnProgress = (event: ProgressEvent) => void;
