// bug(): a broken invariant of our own. It ends the sandbox it happened in and nothing else.

/** Thrown by `bug`; the engine turns it into the end reason of that one sandbox. */
export class KernelBug extends Error {
  override readonly name = 'KernelBug';
}

/** Ends the sandbox: the kernel found its own state inconsistent. Never used for what a guest or a user may cause. */
export function bug(message: string): never {
  throw new KernelBug(message);
}
