// Answers a sandbox that opens files it was given: sends their contents to its worker, one file after the other.

import type { HostFiles } from './hostfiles.ts';
import type { WorkerClient } from './workerclient.ts';

/** For one run. A file is only sent once at a time, however often it is asked for. */
export class Serve {
  private readonly worker: WorkerClient;
  private readonly sandbox: number;
  private readonly given: HostFiles;
  private readonly wanted = new Set<string>();
  private turn = Promise.resolve();

  constructor(worker: WorkerClient, sandbox: number, given: HostFiles) {
    this.worker = worker;
    this.sandbox = sandbox;
    this.given = given;
  }

  want(tree: number, entry: number): void {
    const key = `${tree} ${entry}`;
    if (!this.given.has(tree, entry)) return this.worker.fail('it asked for a file that it was not given');
    if (this.wanted.has(key)) return;
    this.wanted.add(key);
    this.turn = this.turn.then(async () => {
      if (this.worker.isGone) return;
      const message = { type: 'content', sandbox: this.sandbox, tree, entry } as const;
      const errno = await this.given.read(tree, entry, (bytes) => new Promise((sent) => {
        this.worker.post({ ...message, last: false, errno: null }, bytes, sent);
      }));
      this.wanted.delete(key);
      this.worker.post({ ...message, last: true, errno });
    });
  }
}
