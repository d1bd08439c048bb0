// Names of processor features as the `flags` line of /proc/cpuinfo has them: arch/x86/include/asm/cpufeatures.h of the Linux kernel,
// by CPUID leaf, register and bit (Intel SDM vol. 2, CPUID; AMD APM vol. 3, appendix E). Features of ring 0 alone are left out.

/** One register of one leaf: names by bit, '' where there is none. */
export interface FeatureWord {
  readonly leaf: number;
  readonly index: number;
  readonly register: 'eax' | 'ebx' | 'ecx' | 'edx';
  readonly names: Readonly<Record<number, string>>;
}

/** In the order of the `flags` line. */
export const FEATURE_WORDS: readonly FeatureWord[] = [
  { leaf: 1, index: 0, register: 'edx', names: {
    0: 'fpu', 1: 'vme', 2: 'de', 3: 'pse', 4: 'tsc', 5: 'msr', 6: 'pae', 7: 'mce', 8: 'cx8', 9: 'apic', 11: 'sep', 12: 'mtrr', 13: 'pge', 14: 'mca',
    15: 'cmov', 16: 'pat', 17: 'pse36', 18: 'pn', 19: 'clflush', 21: 'dts', 22: 'acpi', 23: 'mmx', 24: 'fxsr', 25: 'sse', 26: 'sse2', 27: 'ss',
    28: 'ht', 29: 'tm', 30: 'ia64', 31: 'pbe' } },
  { leaf: 0x8000_0001, index: 0, register: 'edx', names: {
    11: 'syscall', 20: 'nx', 22: 'mmxext', 25: 'fxsr_opt', 26: 'pdpe1gb', 27: 'rdtscp', 29: 'lm', 30: '3dnowext', 31: '3dnow' } },
  { leaf: 1, index: 0, register: 'ecx', names: {
    0: 'pni', 1: 'pclmulqdq', 9: 'ssse3', 12: 'fma', 13: 'cx16', 19: 'sse4_1', 20: 'sse4_2', 21: 'x2apic', 22: 'movbe', 23: 'popcnt', 25: 'aes',
    26: 'xsave', 28: 'avx', 29: 'f16c', 30: 'rdrand', 31: 'hypervisor' } },
  { leaf: 0x8000_0001, index: 0, register: 'ecx', names: {
    0: 'lahf_lm', 1: 'cmp_legacy', 5: 'abm', 6: 'sse4a', 7: 'misalignsse', 8: '3dnowprefetch', 11: 'xop', 16: 'fma4', 21: 'tbm' } },
  { leaf: 7, index: 0, register: 'ebx', names: {
    0: 'fsgsbase', 3: 'bmi1', 4: 'hle', 5: 'avx2', 8: 'bmi2', 9: 'erms', 11: 'rtm', 14: 'mpx', 16: 'avx512f', 17: 'avx512dq', 18: 'rdseed',
    19: 'adx', 21: 'avx512ifma', 23: 'clflushopt', 24: 'clwb', 26: 'avx512pf', 27: 'avx512er', 28: 'avx512cd', 29: 'sha_ni', 30: 'avx512bw',
    31: 'avx512vl' } },
  { leaf: 0xd, index: 1, register: 'eax', names: { 0: 'xsaveopt', 1: 'xsavec', 2: 'xgetbv1', 3: 'xsaves' } },
  { leaf: 7, index: 1, register: 'eax', names: { 4: 'avx_vnni', 5: 'avx512_bf16' } },
  { leaf: 0x8000_0008, index: 0, register: 'ebx', names: { 0: 'clzero', 2: 'xsaveerptr', 9: 'wbnoinvd' } },
  { leaf: 7, index: 0, register: 'ecx', names: {
    1: 'avx512vbmi', 5: 'waitpkg', 6: 'avx512_vbmi2', 8: 'gfni', 9: 'vaes', 10: 'vpclmulqdq', 11: 'avx512_vnni', 12: 'avx512_bitalg',
    14: 'avx512_vpopcntdq', 22: 'rdpid', 25: 'cldemote', 27: 'movdiri', 28: 'movdir64b' } },
  { leaf: 7, index: 0, register: 'edx', names: {
    2: 'avx512_4vnniw', 3: 'avx512_4fmaps', 4: 'fsrm', 8: 'avx512_vp2intersect', 14: 'serialize', 22: 'amx_bf16', 23: 'avx512_fp16',
    24: 'amx_tile', 25: 'amx_int8' } },
];

/** Features that need a register state: names that start so are there only with these bits of XCR0. */
export const FEATURE_STATES: readonly (readonly [prefix: RegExp, xcr0: bigint])[] = [
  [/^(avx|fma|f16c|xop|vaes|vpclmulqdq)/, 0x4n], [/^avx512/, 0xe0n], [/^amx/, 0x6_0000n],
];
