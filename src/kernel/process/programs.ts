// Programs that the engine starts beside a sandbox's first one, while it runs: each has streams of its own (fs/hoststream.ts) and,
// an interpreter that is asked again and again, a control channel. They are children of pid 1, the kernel itself.
//
// Interface: Programs (one per kernel): `open` makes a program's descriptors, `begun` says which process has them, `onEnd` hears
// when that has ended, `forget` closes them.

import { ControlChannel } from '../fs/control.ts';
import type { ControlState } from '../fs/control.ts';
import type { File } from '../fs/file.ts';
import { HostStreams } from '../fs/hoststream.ts';
import type { HostStreamsState } from '../fs/hoststream.ts';
import type { Kernel } from '../kernel.ts';
import type { Process } from './process.ts';

/** One program. */
export interface Program {
  /** Never used twice in a sandbox; 0 is the first program, which is not in the table. */
  readonly id: number;
  /** Its process; 0: not started yet. */
  pid: number;
  readonly streams: HostStreams;
  readonly control: ControlChannel | null;
}

export interface ProgramsState {
  readonly next: number;
  readonly list: readonly { readonly id: number; readonly pid: number; readonly streams: HostStreamsState; readonly control: ControlState | null }[];
}

export class Programs {
  private readonly kernel: Kernel;
  private readonly list = new Map<number, Program>();
  private next: number;
  /** A program's process has ended, with a wait(2) status. Not saved. */
  onEnd: (program: Program, process: Process, status: number) => void = () => {};

  constructor(kernel: Kernel, state: ProgramsState | null = null) {
    this.kernel = kernel;
    this.next = state ? state.next : 1;
    for (const { id, pid, streams, control } of state?.list ?? []) {
      this.list.set(id, {
        id, pid, streams: new HostStreams(kernel, streams), control: control && new ControlChannel(kernel.waits, control),
      });
    }
  }

  /** A program without a process yet. */
  open(withControl: boolean): Program {
    const { kernel } = this;
    const id = this.next++;
    const control = withControl ? new ControlChannel(kernel.waits, null, id) : null;
    const program = { id, pid: 0, streams: new HostStreams(kernel, null, id), control };
    this.list.set(id, program);
    return program;
  }

  get(id: number): Program | undefined {
    return this.list.get(id);
  }

  /** Its descriptors 0, 1, 2 and, with a control channel, 3: new files. */
  openFiles({ streams, control }: Program): File[] {
    return [streams.openStdin(), streams.openOutput(1), streams.openOutput(2), ...(control ? [control.openFile()] : [])];
  }

  begun(program: Program, process: Process): void {
    program.pid = process.pid;
    if (program.control) program.control.ownerPid = process.pid;
  }

  /** Called for every process that ends. */
  ended(process: Process, status: number): void {
    for (const program of this.list.values()) if (program.pid === process.pid) return this.onEnd(program, process, status);
  }

  /** Nobody listens to it any more: what is left of it (a child that holds its streams) writes into nothing. */
  forget(program: Program): void {
    program.streams.isClosed = true;
    program.streams.letGo();
    program.streams.stdin.close();
    program.control?.close();
    this.list.delete(program.id);
  }

  /** For files that are restored: the streams of a program, also of one that was forgotten. */
  streamsOf(id: number): HostStreams {
    const known = id === 0 ? this.kernel.streams : this.list.get(id)?.streams;
    if (known) return known;
    const streams = new HostStreams(this.kernel, null, id);
    streams.isClosed = true;
    streams.stdin.close();
    return streams;
  }

  controlOf(id: number): ControlChannel {
    const known = id === 0 ? this.kernel.control : this.list.get(id)?.control;
    if (known) return known;
    const control = new ControlChannel(this.kernel.waits, null, id);
    control.close();
    return control;
  }

  save(): ProgramsState {
    const list = [...this.list.values()].map(({ id, pid, streams, control }) => ({ id, pid, streams: streams.save(), control: control?.save() ?? null }));
    return { next: this.next, list };
  }
}
