// How the open files that are not plain files are saved and made again: host streams, control channel, pipes, eventfd, timerfd,
// epoll, sockets, devices, generated text.
//
// Interface: registerKinds, called once by synthetic.ts. Links between files (epoll items, socket peers, files in flight)
// are made in savefs's second pass.

import { ESRCH } from '../../abi/linux/errno.ts';
import { EpollFile } from '../ipc/epoll.ts';
import type { EpollState } from '../ipc/epoll.ts';
import { EventFd } from '../ipc/eventfd.ts';
import type { EventFdState } from '../ipc/eventfd.ts';
import { Inotify } from '../ipc/inotify.ts';
import type { InotifyState } from '../ipc/inotify.ts';
import { Pipe, PipeFile, PipeInode, adoptFifo, fifoOf, fifoOpening } from '../ipc/pipe.ts';
import type { PipeState } from '../ipc/pipe.ts';
import { SocketFile } from '../ipc/socket.ts';
import type { SocketState } from '../ipc/socket.ts';
import { SignalFd } from '../ipc/signalfd.ts';
import type { SignalFdState } from '../ipc/signalfd.ts';
import { TimerFd } from '../ipc/timerfd.ts';
import type { TimerFdState } from '../ipc/timerfd.ts';
import { PidFile } from '../process/pidfd.ts';
import type { PidFileState } from '../process/pidfd.ts';
import { Pty } from '../tty/pty.ts';
import type { PtyState } from '../tty/pty.ts';
import { PtyMaster, TtyFile } from '../tty/ptyfile.ts';
import { ControlFile } from './control.ts';
import { DeviceFile } from './dev.ts';
import type { File } from './file.ts';
import type { Inode } from './inode.ts';
import { MemInode } from './meminode.ts';
import { HostInputFile, HostOutputFile, HostStreamInode, STREAMS } from './hoststream.ts';
import { TextFile, TextInode } from './pseudo.ts';
import { registerFileKind, registerFsPart } from './savefs.ts';
import type { FileKind, FsPart, Loader, Saver } from './savefs.ts';
import type { InodeRef } from './vfs.ts';

/** What a pipe end saves: its pipe's number, and the inode of an anonymous one. */
interface PipeExtra {
  readonly pipe: number;
  readonly hupAfter: number;
  readonly anonymous: { readonly uid: number; readonly gid: number; readonly time: bigint } | null;
}

const pipeKind: FileKind = {
  save(file: File, saver: Saver): PipeExtra {
    const { pipe, hupAfter, inode } = file as PipeFile;
    return {
      pipe: saver.object(pipe, () => pipe.save()), hupAfter,
      anonymous: inode instanceof PipeInode ? { uid: inode.uid, gid: inode.gid, time: inode.mtime } : null,
    };
  },
  restore(state, loader): File {
    const { pipe: id, hupAfter, anonymous } = state.extra as PipeExtra;
    const shared = loader.object(id, (saved) => sharedPipe(saved as PipeState, anonymous, loader));
    const inode = shared.inode ?? loader.inode(state.inode);
    if (!shared.inode) adoptFifo(inode, shared.pipe);
    return PipeFile.restore(inode, state.flags, state.label, shared.pipe, hupAfter);
  },
};

function sharedPipe(saved: PipeState, anonymous: PipeExtra['anonymous'], loader: Loader): { pipe: Pipe; inode: PipeInode | null } {
  const pipe = Pipe.restore(saved, loader.kernel);
  return { pipe, inode: anonymous && new PipeInode(pipe, anonymous.uid, anonymous.gid, anonymous.time) };
}

/** FIFOs that somebody waits to open: perhaps nobody has them open. */
const fifoPart: FsPart = {
  save(saver): FifoState[] {
    const states: FifoState[] = [];
    for (const task of saver.kernel.tasks.values()) {
      const opening = fifoOpening(task);
      const inode = opening && saver.kernel.vfs.loadInode({ ...opening, key: null });
      const pipe = inode && fifoOf(inode);
      if (pipe) states.push({ inode: saver.inode(inode), pipe: saver.object(pipe, () => pipe.save()) });
    }
    return states;
  },
  restore(state, loader): void {
    for (const { inode, pipe } of state as FifoState[]) {
      adoptFifo(loader.inode(inode), loader.object(pipe, (saved) => sharedPipe(saved as PipeState, null, loader)).pipe);
    }
  },
};

interface FifoState { readonly inode: InodeRef; readonly pipe: number }

const epollKind: FileKind = {
  save(file: File, saver: Saver): EpollState<number> {
    const { queue, items } = (file as EpollFile).save();
    return { queue, items: items.map((item) => ({ ...item, file: saver.file(item.file) })) };
  },
  restore(state, loader): File {
    const { kernel } = loader;
    return new EpollFile(kernel.waits, { monotonicNs: () => kernel.clock.monotonicNs() }, (state.extra as EpollState<number>).queue);
  },
  link(file, state, loader): void {
    const { items } = state.extra as EpollState<number>;
    (file as EpollFile).restoreItems(items.map((item) => ({ ...item, file: loader.file(item.file) })));
  },
};

const socketKind: FileKind = {
  save(file: File, saver: Saver): SocketState<number> {
    const state = (file as SocketFile).save();
    const number = (other: File): number => saver.file(other);
    return {
      ...state, peer: state.peer && number(state.peer), backlog: state.backlog.map(number),
      inbox: state.inbox.map((message) => ({ ...message, from: message.from, files: message.files.map(number) })),
    };
  },
  restore: (state, loader) => SocketFile.restore(loader.kernel, state.extra as SocketState<number>, state.flags),
  link(file, state, loader): void {
    const { peer, backlog, inbox } = state.extra as SocketState<number>;
    const load = (id: number): File => loader.file(id);
    (file as SocketFile).restoreLinks({
      peer: peer === null ? null : load(peer), backlog: backlog.map(load),
      inbox: inbox.map((message) => ({ ...message, files: message.files.map(load) })),
    });
  },
};

const inotifyKind: FileKind = {
  save(file: File, saver: Saver): InotifyState<InodeRef> {
    const state = (file as Inotify).save();
    const nameOf = (inode: Inode | null): InodeRef | null => (inode instanceof MemInode ? saver.inode(inode) : null);
    return { ...state, watches: state.watches.map((watch) => ({ ...watch, inode: nameOf(watch.inode) })) };
  },
  restore(state, loader): File {
    const saved = state.extra as InotifyState<InodeRef>;
    const watches = saved.watches.map((watch) => ({ ...watch, inode: watch.inode && loader.inode(watch.inode) }));
    return new Inotify(loader.kernel, { ...saved, watches }, state.flags);
  },
};

const timerKind: FileKind = {
  save: (file) => (file as TimerFd).save(),
  restore(state, { kernel }): File {
    return new TimerFd(kernel.waits, { monotonicNs: () => kernel.clock.monotonicNs() }, state.extra as TimerFdState, state.flags);
  },
};

const textKind: FileKind = {
  save: (file) => (file as TextFile).text,
  restore(state, loader): File {
    const found = loader.inode(state.inode);
    // Of a process that is gone: reading goes on in the text there was.
    const { dev, key } = state.inode;
    const inode = found instanceof TextInode ? found : new TextInode({ dev, bootTime: 0n }, key ?? '', () => -ESRCH);
    const file = new TextFile(inode, state.flags, state.label);
    file.text = state.extra as Uint8Array | null;
    return file;
  },
};

function ptyNumber(pty: Pty, saver: Saver): number {
  return saver.object(pty, () => pty.save());
}

function ptyOf(id: unknown, loader: Loader): Pty {
  const { kernel } = loader;
  return loader.object(id as number, (saved) => kernel.ptys.add(Pty.restore(saved as PtyState, kernel.waits)));
}

/** Registers all of them with savefs. */
export function registerKinds(): void {
  registerFsPart('fifos', fifoPart);
  registerFileKind('pipe', pipeKind);
  registerFileKind('epoll', epollKind);
  registerFileKind('socket', socketKind);
  registerFileKind('timerfd', timerKind);
  registerFileKind('inotify', inotifyKind);
  registerFileKind('text', textKind);
  registerFileKind('pidfd', {
    save: (file) => (file as PidFile).save(),
    restore: (state, loader) => new PidFile(loader.kernel, state.extra as PidFileState, state.flags),
  });
  registerFileKind('signalfd', {
    save: (file) => (file as SignalFd).save(),
    restore: (state, loader) => new SignalFd(loader.kernel, state.extra as SignalFdState, state.flags),
  });
  registerFileKind('eventfd', {
    save: (file) => (file as EventFd).save(),
    restore: (state, { kernel }) => new EventFd(kernel.waits, state.extra as EventFdState, state.flags),
  });
  registerFileKind('device', {
    save: () => null,
    restore: (state, loader) => new DeviceFile(loader.inode(state.inode), state.flags, loader.kernel),
  });
  registerFileKind('ptmx', {
    save: (file, saver) => ptyNumber((file as PtyMaster).pty, saver),
    restore: (state, loader) => new PtyMaster(loader.inode(state.inode), state.flags, loader.kernel, ptyOf(state.extra, loader)),
  });
  registerFileKind('pts', {
    save: (file, saver) => ptyNumber((file as TtyFile).pty, saver),
    restore: (state, loader) => {
      const pty = ptyOf(state.extra, loader);
      return new TtyFile(loader.inode(state.inode), state.flags, pty);
    },
  });
  registerFileKind('hostin', {
    save: (file) => (file as HostInputFile).program,
    restore: (state, { kernel }) => new HostInputFile(new HostStreamInode(kernel.programs.streamsOf(state.extra as number), 0), state.flags),
  });
  registerFileKind('hostout', {
    save: (file) => (file as HostOutputFile).program * STREAMS + (file as HostOutputFile).stream,
    restore: (state, { kernel }) => {
      const stream = (state.extra as number) % STREAMS;
      const streams = kernel.programs.streamsOf(((state.extra as number) - stream) / STREAMS);
      return new HostOutputFile(new HostStreamInode(streams, stream), state.flags);
    },
  });
  registerFileKind('control', {
    save: (file) => (file as ControlFile).program,
    restore: (state, { kernel }) => new ControlFile(kernel.programs.controlOf(state.extra as number), state.flags),
  });
}
