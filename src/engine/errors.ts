// Errors a user of the engine may see: one sentence, a stable code, and nothing of our insides.

/** Stable codes; docs/errors.md lists them. */
export type ErrorCode =
  | 'kvm-missing' | 'kvm-forbidden' | 'kvm-busy' | 'kvm-unusable' | 'host-unsupported'
  | 'template-unknown' | 'template-damaged' | 'template-setup' | 'image-failed'
  | 'bad-argument' | 'memory-limit' | 'sandbox-ended' | 'worker-lost' | 'closed' | 'internal';

/** What every public call of the engine throws. `message` is one sentence that says what to do. */
export class OffshootError extends Error {
  override readonly name = 'OffshootError';
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** The sentence for a failed open of /dev/kvm; `errno` is its symbolic name. */
export function kvmError(errno: string): OffshootError {
  switch (errno) {
    case 'ENOENT':
    case 'ENODEV':
    case 'ENXIO':
      return new OffshootError('kvm-missing',
        '/dev/kvm does not exist: load the module with "sudo modprobe kvm_intel" or "sudo modprobe kvm_amd", '
        + 'and on a cloud machine choose a type with nested virtualization.');
    case 'EACCES':
    case 'EPERM':
      return new OffshootError('kvm-forbidden',
        '/dev/kvm may not be opened by this user: run "sudo usermod -aG kvm $USER" and log in again.');
    case 'EBUSY':
      return new OffshootError('kvm-busy',
        '/dev/kvm is in use by another hypervisor: stop it (VirtualBox and VMware hold the processor exclusively) and try again.');
    default:
      return new OffshootError('kvm-unusable', `/dev/kvm cannot be used: ${errno}.`);
  }
}
