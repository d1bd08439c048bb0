// A whole kernel as plain data, and a kernel from it: the composition of all parts' states. Fork is restore of the same
// state object, which nobody changes: restoring copies what will change and shares the rest.
//
// Guest memory is not part of it: frames [0, frames.highWaterBytes) of the machine belong to the state.

import { bug } from './bug.ts';
import type { ControlState } from './fs/control.ts';
import type { HostStreamsState } from './fs/hoststream.ts';
import type { ImageIndex } from './fs/imageindex.ts';
import type { Inode } from './fs/inode.ts';
import { buildVfs, sharedFiles } from './fs/mounts.ts';
import { RestoredFs, saveFs } from './fs/savefs.ts';
import type { FsState } from './fs/savefs.ts';
import { syntheticMounts } from './fs/synthetic.ts';
import type { InodeRef, Vfs } from './fs/vfs.ts';
import type { FutexState } from './ipc/futex.ts';
import { Kernel } from './kernel.ts';
import type { BootOptions } from './boot.ts';
import type { FramesState } from './mm/frames.ts';
import type { Mm } from './mm/mm.ts';
import { mappedInodes, restoreMms, saveMms } from './mm/savemm.ts';
import type { MmsState } from './mm/savemm.ts';
import type { ProgramsState } from './process/programs.ts';
import { restoreProcess, restoreWaits, saveProcess } from './process/saveprocess.ts';
import type { ProcessState } from './process/saveprocess.ts';
import type { SigAction, SigInfo } from './signal/state.ts';
import type { ClockState } from './time/clock.ts';
import { Vdso } from './time/vdso.ts';
import type { VdsoState } from './time/vdso.ts';

export interface KernelState {
  readonly frames: FramesState;
  readonly clock: ClockState;
  readonly hostname: string;
  readonly waitsNext: number;
  readonly nextPid: number;
  readonly futexes: FutexState;
  readonly streams: HostStreamsState;
  readonly control: ControlState;
  readonly programs: ProgramsState;
  readonly holdsForks: boolean;
  readonly fs: FsState;
  readonly mms: MmsState;
  /** Inodes that mappings and /proc/PID/exe refer to, by number. */
  readonly inodes: readonly InodeRef[];
  readonly vdso: VdsoState | null;
  /** Tables of signal handlers, by number: processes may share one. */
  readonly actions: readonly (readonly (SigAction | undefined)[])[];
  readonly processes: readonly ProcessState[];
  readonly mainPid: number;
  readonly counters: CountersState;
}

/** What a sandbox has used and asked for so far. */
export interface CountersState {
  readonly syscallCount: number;
  readonly cpuNs: number;
  readonly unimplemented: ReadonlyMap<string, number>;
  readonly killedBy: SigInfo | null;
}

/** Numbers distinct objects in order of appearance. */
class Numbering<T> {
  readonly list: T[] = [];
  private readonly ids = new Map<T, number>();

  of(item: T): number {
    let id = this.ids.get(item);
    if (id === undefined) {
      id = this.list.push(item) - 1;
      this.ids.set(item, id);
    }
    return id;
  }
}

export function saveKernel(kernel: Kernel): KernelState {
  const inodes = new Numbering<Inode>();
  const mms = new Numbering<Mm>();
  const actions = new Numbering<(SigAction | undefined)[]>();
  const processes = [...kernel.processes.values()].map((process) => saveProcess(process, {
    mm: process.exitStatus >= 0 ? -1 : mms.of(process.mm), actions: actions.of(process.signals.actions), inodeId: (inode) => inodes.of(inode),
  }));
  const mmsState = saveMms(mms.list, (inode) => inodes.of(inode as Inode));
  return {
    frames: kernel.frames.save(), clock: kernel.clock.save(), hostname: kernel.hostname, waitsNext: kernel.waits.save(),
    nextPid: kernel.nextPid, futexes: kernel.futexes.save(), streams: kernel.streams.save(), control: kernel.control.save(),
    programs: kernel.programs.save(), holdsForks: kernel.holdsForks,
    fs: saveFs(kernel), mms: mmsState, inodes: inodes.list.map((inode) => kernel.vfs.saveInode(inode)),
    vdso: kernel.vdso?.save() ?? null, actions: actions.list.map((table) => table.slice()), processes, mainPid: kernel.main?.pid ?? 0,
    counters: {
      syscallCount: kernel.syscallCount, cpuNs: kernel.cpuNs, unimplemented: new Map(kernel.unimplemented), killedBy: kernel.killedBy,
    },
  };
}

/**
 * A kernel that goes on where the saved one stood; the machine's memory must hold what it held then. `template`: of which the saved one was
 * a fork.
 */
export function restoreKernel(state: KernelState, options: BootOptions, template = state): Kernel {
  const kernel = new Kernel(options, state);
  const fs = lateFs(state, kernel, options.index, template);
  const inodes: Inode[] = [];
  const findInode = (id: number): Inode => (inodes[id] ??= kernel.vfs.loadInode(state.inodes[id]) ?? bug('restore: a mapped file is gone'));
  const mms = restoreMms(state.mms, kernel, findInode);
  if (state.vdso) {
    kernel.vdso = Vdso.restore(state.vdso, kernel.frames);
    kernel.vdso.setOffset(kernel.clock.offsetNs);
  }
  const actions = state.actions.map((table) => table.slice());
  const used = new Set<Mm>();
  for (const saved of state.processes) {
    const mm = mms[Math.max(0, saved.mm)];
    if (saved.mm >= 0 && used.has(mm)) mm.share();
    if (saved.mm >= 0) used.add(mm);
    restoreProcess(kernel, saved, {
      mm, files: () => fs.filesOf(saved.pid), fs: () => fs.fsOf(saved.pid), actions: actions[saved.signals.actions],
      exe: saved.exeInode < 0 ? null : () => findInode(saved.exeInode),
    });
  }
  restoreWaits(kernel);
  kernel.main = kernel.processes.get(state.mainPid) ?? null;
  kernel.syscallCount = state.counters.syscallCount;
  kernel.cpuNs = state.counters.cpuNs;
  kernel.killedBy = state.counters.killedBy;
  for (const [name, count] of state.counters.unimplemented) kernel.unimplemented.set(name, count);
  return kernel;
}

/** The file systems with all that is open, made when they are first looked at: most of a fork's restoring is this. */
function lateFs(state: KernelState, kernel: Kernel, index: ImageIndex, template: KernelState): RestoredFs {
  const makeVfs = (): Vfs => {
    const vfs = buildVfs(kernel, index, [syntheticMounts(kernel)], state.fs.vfs);
    vfs.shared = sharedFiles(template.fs.vfs);
    return vfs;
  };
  const holdMapped = (vfs: Vfs): void => {
    for (const { id, users } of mappedInodes(state.mms)) {
      if (!vfs.holdInode(state.inodes[id], users)) bug('restore: a mapped file is gone');
    }
  };
  const fs = new RestoredFs(state.fs, kernel, makeVfs, holdMapped);
  const vfs = (): Vfs => fs.vfs;
  const reclaim = (): number => kernel.vfs.dropCaches();
  kernel.vfs = vfs;
  kernel.frames.reclaim = reclaim;
  return fs;
}
