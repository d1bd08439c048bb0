// What nobody waits for: log lines of requests, what is counted. Done a little later and together, because until the answer has reached its
// client every processor has something better to do: on two of them a log line delays the answer by a fifth.

const LATER_MS = 5;
const WAITING_MAX = 256;

export class Afterwards {
  private waiting: (() => void)[] = [];
  /** One for all: to start it again costs less than another. */
  private timer: NodeJS.Timeout | null = null;

  add(work: () => void): void {
    this.waiting.push(work);
    if (this.waiting.length >= WAITING_MAX) return this.flush();
    if (this.waiting.length > 1) return;
    if (this.timer) this.timer.refresh();
    else this.timer = setTimeout(() => this.flush(), LATER_MS).unref();
  }

  /** Does it now. */
  flush(): void {
    for (const work of this.waiting.splice(0)) work();
  }
}
