// The floor of a fork: the system calls any KVM program needs for a new virtual machine over a copy-on-write view of a file,
// in C, with nothing around them. `offshoot bench fork` runs it beside Offshoot's own fork, sample by sample.
//
// usage: floor FILE BYTES SHARED PAGES   FILE is mapped MAP_PRIVATE, BYTES of it; from SHARED on (0: nowhere) other memory, the same in all,
// is in its place, in a slot of its own. For each line on stdin, a number N up to 64: N machines made in a row, then each runs, then all are
// closed, as the other side does it. For each its nanoseconds and the byte its guest printed go to stdout, in one line. The guest writes to
// PAGES pages of its memory, as many as a run of the other side (a machine that does less leaves the host's caches warm for the next),
// reads a byte and writes it to a port; that part is not timed.
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define AREA 65536
#define ROW_MAX 64
#define PAGES_MAX 512
#define CHECK(x) ({ long r_ = (long)(x); if (r_ < 0) { perror(#x); exit(1); } r_; })

static uint64_t now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000ull + t.tv_nsec;
}

struct vm { int vm, vcpu; uint8_t *memory; struct kvm_run *run; };
static struct { struct kvm_cpuid2 head; struct kvm_cpuid_entry2 entries[256]; } cpuid;
static struct { struct kvm_msrs head; struct kvm_msr_entry entries[4]; } msrs = {
  { 4, 0 }, { { 0xc0000081, 0, 0x23001000000000 }, { 0xc0000082, 0, 0x7fffffffe000 }, { 0xc0000084, 0, 0xfffffffd }, { 0xc0000102, 0, 0 } } };
static struct kvm_sregs sregs;
static uint8_t xsave[16384] __attribute__((aligned(64)));
static struct kvm_xcrs xcrs;
static int kvm, file, area, run_bytes;
static size_t bytes, shared_gpa, pages;
static uint8_t *shared;

static struct vm create(void) {
  struct vm m;
  m.vm = CHECK(ioctl(kvm, KVM_CREATE_VM, 0));
  m.memory = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file, 0);
  CHECK(m.memory == MAP_FAILED ? -1 : 0);
  CHECK(mmap(m.memory, AREA, PROT_READ, MAP_SHARED | MAP_FIXED, area, 0) == MAP_FAILED ? -1 : 0);
  struct kvm_userspace_memory_region slot = { 0, 0, 0, shared_gpa ? shared_gpa : bytes, (uintptr_t)m.memory };
  CHECK(ioctl(m.vm, KVM_SET_USER_MEMORY_REGION, &slot));
  struct kvm_userspace_memory_region text = { 1, KVM_MEM_READONLY, shared_gpa, bytes - shared_gpa, (uintptr_t)shared };
  if (shared_gpa) CHECK(ioctl(m.vm, KVM_SET_USER_MEMORY_REGION, &text));
  m.vcpu = CHECK(ioctl(m.vm, KVM_CREATE_VCPU, 0));
  m.run = mmap(0, run_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, m.vcpu, 0);
  CHECK(m.run == MAP_FAILED ? -1 : 0);
  CHECK(ioctl(m.vcpu, KVM_SET_CPUID2, &cpuid));
  CHECK(ioctl(m.vcpu, KVM_SET_SREGS, &sregs));
  CHECK(ioctl(m.vcpu, KVM_SET_XCRS, &xcrs));
  CHECK(ioctl(m.vcpu, KVM_SET_XSAVE, xsave));
  CHECK(ioctl(m.vcpu, KVM_SET_MSRS, &msrs));
  return m;
}

// Flat 32-bit code without paging, in the first private page: an instruction for each page, then the byte behind the code is printed.
static int check(struct vm m) {
  uint8_t *code = m.memory + AREA;
  size_t first = AREA + 8192, end = shared_gpa ? shared_gpa : bytes, step = pages ? (end - first) / pages & ~4095ul : 0, at = 0;
  for (size_t i = 0; i < pages; i++) {
    uint32_t address = first + i * step;
    code[at++] = 0xfe, code[at++] = 0x05; // inc byte [address]
    memcpy(code + at, &address, 4);
    at += 4;
  }
  uint32_t byte = AREA + at + 8;
  code[at++] = 0xa0; // mov al,[byte]; out 0x10,al; hlt
  memcpy(code + at, &byte, 4);
  memcpy(code + at + 4, (uint8_t[]){ 0xe6, 0x10, 0xf4, 'k' }, 4);
  struct kvm_sregs flat = sregs;
  flat.cs = (struct kvm_segment){ .limit = 0xffffffff, .selector = 8, .type = 11, .present = 1, .db = 1, .s = 1, .g = 1 };
  flat.ds = flat.es = flat.ss = (struct kvm_segment){ .limit = 0xffffffff, .selector = 16, .type = 3, .present = 1, .db = 1, .s = 1, .g = 1 };
  flat.cr0 |= 1;
  struct kvm_regs regs = { .rip = AREA, .rflags = 2 };
  CHECK(ioctl(m.vcpu, KVM_SET_SREGS, &flat));
  CHECK(ioctl(m.vcpu, KVM_SET_REGS, &regs));
  CHECK(ioctl(m.vcpu, KVM_RUN, 0));
  if (m.run->exit_reason != KVM_EXIT_IO || m.run->io.port != 0x10) return -1;
  return ((uint8_t *)m.run)[m.run->io.data_offset];
}

static void destroy(struct vm m) {
  munmap(m.run, run_bytes);
  close(m.vcpu);
  // In turn with others, as the other side does (src/vmm/vm.ts): two closed at the same time wait for ticks of the clock.
  int tries = 0, busy;
  while ((busy = flock(kvm, LOCK_EX | LOCK_NB)) && tries++ < 20) usleep(50);
  close(m.vm);
  if (!busy) flock(kvm, LOCK_UN);
  munmap(m.memory, bytes);
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  file = CHECK(open(argv[1], O_RDONLY | O_CLOEXEC));
  bytes = strtoull(argv[2], 0, 0);
  shared_gpa = strtoull(argv[3], 0, 0);
  pages = strtoull(argv[4], 0, 0);
  if (pages > PAGES_MAX) return 2;
  shared = mmap(0, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  CHECK(shared == MAP_FAILED ? -1 : 0);
  kvm = CHECK(open("/dev/kvm", O_RDWR | O_CLOEXEC));
  run_bytes = CHECK(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0));
  area = CHECK(memfd_create("area", MFD_CLOEXEC));
  CHECK(ftruncate(area, AREA));
  cpuid.head.nent = 256;
  CHECK(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid));
  int vm = CHECK(ioctl(kvm, KVM_CREATE_VM, 0)), vcpu = CHECK(ioctl(vm, KVM_CREATE_VCPU, 0));
  CHECK(ioctl(vcpu, KVM_SET_CPUID2, &cpuid));
  CHECK(ioctl(vcpu, KVM_GET_SREGS, &sregs));
  CHECK(ioctl(vcpu, KVM_GET_XCRS, &xcrs));
  CHECK(ioctl(vcpu, KVM_GET_XSAVE, xsave));
  close(vcpu);
  close(vm);
  for (char line[16]; fgets(line, sizeof line, stdin);) {
    int count = atoi(line);
    if (count < 1 || count > ROW_MAX) return 2;
    struct vm row[ROW_MAX];
    uint64_t ns[ROW_MAX];
    for (int i = 0; i < count; i++) {
      uint64_t start = now();
      row[i] = create();
      ns[i] = now() - start;
    }
    for (int i = 0; i < count; i++) printf("%llu %c ", (unsigned long long)ns[i], check(row[i]));
    for (int i = 0; i < count; i++) destroy(row[i]);
    putchar('\n');
    fflush(stdout);
  }
}
