// What nobody waits for: log lines of requests, what is counted. Done a little later and together, because until the answer has reached its
// client every processor has something better to do: on two of them a log line delays the answer by a fifth.

const LATER_MS = 5;
const WAITING_MAX = 256;

export class Afterwards {
  private waiting: (() => void)[] = [];

  add(work: () => void): void {
    this.waiting.push(work);
    if (this.waiting.length === 1) setTimeout(() => this.flush(), LATER_MS).unref();
    else if (this.waiting.length >= WAITING_MAX) this.flush();
  }

  /** Does it now. */
  flush(): void {
    for (const work of this.waiting.splice(0)) work();
  }
}
