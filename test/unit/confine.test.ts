// The policy of confined workers: it covers every ioctl the machine code makes, and the filter decides as it says.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import test from 'node:test';
import * as ioctls from '../../src/abi/kvm/ioctls.ts';
import * as S from '../../src/abi/linux/confine.ts';
import { IOCTLS } from '../../src/engine/confine.ts';
import { compileFilter } from '../../src/host/seccomp.ts';

/** Made once, when /dev/kvm is opened. */
const AT_START = ['KVM_GET_API_VERSION', 'KVM_GET_SUPPORTED_CPUID', 'KVM_GET_VCPU_MMAP_SIZE'];

test('every KVM ioctl that src/vmm makes while guests run is allowed, and no other', () => {
  const folder = new URL('../../src/vmm/', import.meta.url);
  const text = readdirSync(folder).filter((name) => name !== 'selftest.ts').map((name) => readFileSync(new URL(name, folder), 'utf8')).join('\n');
  const used = Object.entries(ioctls).filter(([name]) => new RegExp(`\\b${name}\\b`).test(text) && !AT_START.includes(name));
  assert.ok(used.length > 10);
  assert.deepEqual(used.filter(([, nr]) => !IOCTLS.includes(nr)).map(([name]) => name), []);
  const unused = Object.entries(ioctls).filter(([name, nr]) => IOCTLS.includes(nr) && !used.some(([other]) => other === name));
  assert.deepEqual(unused.map(([name]) => name), []);
});

/** Runs a filter as the kernel does (Documentation/userspace-api/seccomp_filter.rst): what it returns. */
function decide(program: Uint8Array, nr: number, args: readonly number[] = [], arch: number = S.AUDIT_ARCH_X86_64): number {
  const data = new DataView(new ArrayBuffer(64));
  data.setUint32(0, nr, true);
  data.setUint32(4, arch, true);
  args.forEach((arg, i) => data.setBigUint64(16 + 8 * i, BigInt(arg), true));
  const code = new DataView(program.buffer);
  let a = 0;
  for (let pc = 0; pc * 8 < program.length; pc++) {
    const [op, jt, jf, k] = [code.getUint16(pc * 8, true), code.getUint8(pc * 8 + 2), code.getUint8(pc * 8 + 3), code.getUint32(pc * 8 + 4, true)];
    if (op === S.BPF_LD_W_ABS) a = data.getUint32(k, true);
    else if (op === S.BPF_JEQ_K) pc += a === k ? jt : jf;
    else if (op === S.BPF_JGE_K) pc += a >= k ? jt : jf;
    else if (op === S.BPF_RET_K) return k;
    else assert.fail(`instruction ${op}`);
  }
  return assert.fail('the program has no end');
}

const REFUSED = S.SECCOMP_RET_ERRNO + 1;

test('the filter passes what is listed, by number and by argument, and refuses the rest', () => {
  const filter = compileFilter([{ nr: 16, arg: 1, oneOf: [0xae80, 0xc0606610] }, { nr: 0 }, { nr: 234, arg: 0, oneOf: [77] }]);
  for (const [nr, args] of [[0, []], [16, [5, 0xae80]], [16, [5, 0xc0606610]], [234, [77, 1, 9]]] as const) {
    assert.equal(decide(filter, nr, args), S.SECCOMP_RET_ALLOW, `${nr} ${args}`);
  }
  for (const [nr, args] of [[1, []], [16, [0xae80, 1]], [16, [5, 0x5412]], [234, [78, 77]], [999, []], [S.X32_SYSCALL_BIT, []], [2 ** 32 - 1, []]] as const) {
    assert.equal(decide(filter, nr, args), REFUSED, `${nr} ${args}`);
  }
  assert.equal(decide(filter, 0, [], 0x4000_0003), S.SECCOMP_RET_KILL_PROCESS, 'a 32-bit call');
});
