// What a process's paths start from (fs_struct): root and working directory, and its umask. Shared under CLONE_FS.
//
// Interface: FsContext. It holds its two directories, so that a removed working directory stays what it was.

import type { Dentry } from './dentry.ts';

export class FsContext {
  private rootDir: Dentry;
  private cwdDir: Dentry;
  umask: number;
  /** Processes that share it. */
  refs = 1;

  constructor(root: Dentry, cwd: Dentry, umask = 0o022) {
    this.rootDir = root;
    this.cwdDir = cwd;
    this.umask = umask;
    root.inode.hold();
    cwd.inode.hold();
  }

  get root(): Dentry { return this.rootDir; }
  get cwd(): Dentry { return this.cwdDir; }

  setCwd(dir: Dentry): void {
    dir.inode.hold();
    this.cwdDir.inode.drop();
    this.cwdDir = dir;
  }

  setRoot(dir: Dentry): void {
    dir.inode.hold();
    this.rootDir.inode.drop();
    this.rootDir = dir;
  }

  clone(): FsContext {
    return new FsContext(this.rootDir, this.cwdDir, this.umask);
  }

  share(): this {
    this.refs++;
    return this;
  }

  release(): void {
    if (--this.refs > 0) return;
    this.rootDir.inode.drop();
    this.cwdDir.inode.drop();
  }
}
