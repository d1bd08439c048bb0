// What a soak looks at while it runs: memory and descriptors of this process and its workers, and whether they grow.

import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** At one moment. Sizes in MB. */
export interface Sample {
  readonly runs: number;
  /** Live objects of this process: the heap and what hangs on it, after a collection. */
  readonly ownHeapMb: number;
  /** Its resident memory without files and without `youngMb`. */
  readonly ownMb: number;
  /**
   * Memory that V8 keeps for new objects, used or not: it doubles, to tens of megabytes, when enough objects have outlived a collection
   * since it last did, and shrinks only where little is allocated. What it gives up it keeps in a pool for a while: `npm run soak` has it bounded.
   */
  readonly youngMb: number;
  readonly ownFds: number;
  readonly workers: number;
  /** Of the workers: resident memory without files, descriptors, mappings; the median of them. */
  readonly workerMb: number;
  readonly workerFds: number;
  readonly workerMaps: number;
}

/** In a whole soak. */
export const SAMPLES = 60;
/** Fewer runs than that are the start of every worker, and nothing else. */
const RUNS_MIN = 3000;

/** What may not grow, and what it may differ by without having grown: a share, and so much. */
const FLAT: readonly (readonly [Exclude<keyof Sample, 'runs' | 'workers' | 'youngMb'>, number, number])[] = [
  ['ownHeapMb', 0.1, 2], ['ownMb', 0.15, 12], ['ownFds', 0, 8], ['workerMb', 0.15, 24], ['workerFds', 0.15, 16], ['workerMaps', 0.15, 200],
];

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const read = (path: string): string => {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return ''; // it has ended
  }
};

const anonymousMb = (pid: number): number => Number(/^RssAnon:\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) / 1024;

const youngMb = (): number => {
  const space = getHeapSpaceStatistics().find(({ space_name: name }) => name === 'new_space');
  return (space?.physical_space_size ?? 0) / 2 ** 20;
};

const fds = (pid: number): number => {
  try {
    return readdirSync(`/proc/${pid}/fd`).length;
  } catch {
    return 0;
  }
};

/** Processes whose parent this one is. */
export function children(): number[] {
  const of = (pid: string): number => Number(/^PPid:\s+(\d+)/m.exec(read(`/proc/${pid}/status`))?.[1]);
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && of(name) === process.pid).map(Number);
}

/** Those of them that are workers: they hold /dev/kvm. */
export function workers(): number[] {
  const holdsKvm = (pid: number): boolean => {
    try {
      return readdirSync(`/proc/${pid}/fd`).some((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`) === '/dev/kvm');
    } catch {
      return false; // it has ended
    }
  };
  return children().filter(holdsKvm);
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

export function sample(runs: number): Sample {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  const young = youngMb();
  const pids = workers();
  const ofWorkers = (what: (pid: number) => number): number => Math.round(median(pids.map(what)));
  return {
    runs, ownHeapMb: Math.round((heapUsed + external) / 2 ** 18) / 4, ownMb: Math.round(anonymousMb(process.pid) - young), youngMb: Math.round(young),
    ownFds: fds(process.pid),
    workers: pids.length, workerMb: ofWorkers(anonymousMb), workerFds: ofWorkers(fds),
    workerMaps: ofWorkers((pid) => read(`/proc/${pid}/maps`).split('\n').length),
  };
}

/** What grew: the last third of the samples against the first behind a quarter of warming up, by medians. Null: too few runs to say. */
export function growth(samples: readonly Sample[]): string[] | null {
  if ((samples.at(-1)?.runs ?? 0) < RUNS_MIN) return null;
  const warm = samples.slice(samples.length >> 2);
  const third = Math.ceil(warm.length / 3);
  return FLAT.flatMap(([name, share, much]) => {
    const first = median(warm.slice(0, third).map((each) => each[name]));
    const last = median(warm.slice(-third).map((each) => each[name]));
    return last > first * (1 + share) + much ? [`${name} grew from ${first} to ${last}`] : [];
  });
}
