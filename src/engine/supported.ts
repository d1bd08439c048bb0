// Whether this can run here at all: Linux, x86-64, Node from 22 on. Written for every Node that knows modules.

const NODE_MIN = 22;

/** One sentence for a host on which nothing works, or null. */
export function hostProblem(): string | null {
  const { platform, arch, version } = process;
  if (platform !== 'linux') return `Offshoot needs Linux with KVM; this is ${platform}: run it in a Linux virtual machine.`;
  if (arch !== 'x64') return `Offshoot needs an x86-64 processor; this Node is for ${arch}.`;
  if (!(parseInt(version.slice(1), 10) >= NODE_MIN)) return `Offshoot needs Node ${NODE_MIN} or newer; this is ${version}.`;
  return null;
}
