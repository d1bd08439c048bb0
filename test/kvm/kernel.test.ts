// The kernel with real ring 3: small C programs in an image of their own, without the engine.

import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import test, { before } from 'node:test';
import type { Image } from '../../src/image/store.ts';
import { runProgram, staticImage } from './harness.ts';

const HAS_GCC = spawnSync('gcc', ['--version']).status === 0;
const skip = HAS_GCC ? false : 'gcc is missing';

const HEADERS = [
  'stdio', 'stdlib', 'string', 'unistd', 'pthread', 'time', 'signal', 'errno', 'fcntl', 'sys/wait', 'sys/mman', 'sys/syscall', 'sys/auxv', 'stdint',
].map((name) => `#include <${name}.h>\n`).join('');

const PROGRAMS: Record<string, string> = {
  hello: `int main(int c, char **v) { printf("%d %s %s\\n", c, v[1], getenv("HOME")); return 7; }`,
  clock: `
    static long long now(clockid_t id) { struct timespec t; clock_gettime(id, &t); return t.tv_sec * 1000000000LL + t.tv_nsec; }
    static long long call(clockid_t id) { struct timespec t; syscall(SYS_clock_gettime, id, &t); return t.tv_sec * 1000000000LL + t.tv_nsec; }
    int main(void) {
      if (!getauxval(AT_SYSINFO_EHDR)) puts("no vDSO");
      long long last = 0;
      for (int i = 0; i < 200; i++) {
        long long a = call(CLOCK_MONOTONIC), b = now(CLOCK_MONOTONIC), c = call(CLOCK_MONOTONIC);
        if (b < last) puts("backwards");
        if (b < a - 1000000 || b > c + 1000000) printf("vDSO and kernel differ: %lld %lld %lld\\n", a, b, c);
        last = b;
      }
      long long r = call(CLOCK_REALTIME), v = now(CLOCK_REALTIME);
      printf("%d\\n", v - r > -1000000 && v - r < 1000000000);
    }`,
  threads: `
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; static long sum; static volatile int turns[8];
    static void *run(void *a) {
      for (int i = 0; i < 2000; i++) {
        pthread_mutex_lock(&lock); sum += (long)a; pthread_mutex_unlock(&lock);
        if (i % 500 == 0) sched_yield();
      }
      turns[(long)a] = 1; return a;
    }
    int main(void) {
      pthread_t t[8];
      for (long i = 0; i < 8; i++) pthread_create(&t[i], 0, run, (void *)i);
      for (int i = 0; i < 8; i++) pthread_join(t[i], 0);
      printf("%ld\\n", sum);
    }`,
  preempt: `
    static volatile int stop; static void *spin(void *a) { while (!stop) ; return a; }
    int main(void) {
      pthread_t t[3]; for (int i = 0; i < 3; i++) pthread_create(&t[i], 0, spin, 0);
      usleep(30000); stop = 1;
      for (int i = 0; i < 3; i++) pthread_join(t[i], 0);
      puts("stopped");
    }`,
  children: `
    int main(int c, char **v) {
      if (c > 1) { printf("child %s\\n", v[1]); return 3; }
      int ends[2], status; pipe(ends); fflush(stdout);
      for (int i = 0; i < 3; i++) if (fork() == 0) { dup2(ends[1], 1); char n[4]; sprintf(n, "%d", i); execl("/proc/self/exe", "x", n, (char *)0); _exit(9); }
      close(ends[1]); char got[256] = ""; int n, at = 0; while ((n = read(ends[0], got + at, 255 - at)) > 0) at += n;
      int codes = 0; while (wait(&status) > 0) codes += WEXITSTATUS(status);
      printf("%d bytes, codes %d\\n", at, codes);
    }`,
  memory: `int main(void) { for (;;) { char *p = malloc(1 << 20); if (!p) return puts("malloc failed"); memset(p, 1, 1 << 20); } }`,
  output: `int main(void) { char line[1000]; memset(line, 'x', 1000); for (;;) if (write(1, line, 1000) < 0) return 1; }`,
  segv: `int main(void) { *(volatile int *)0x1234 = 1; }`,
  jump: `int main(void) { void (*f)(void) = (void (*)(void))0xffff800000000000UL; f(); }`,
  handled: `
    static void handler(int s, siginfo_t *i, void *u) { printf("%d %d %lx\\n", s, i->si_code, (long)i->si_addr); fflush(stdout); _exit(5); }
    int main(void) { struct sigaction a = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO }; sigaction(SIGSEGV, &a, 0); *(volatile int *)0x2000 = 1; }`,
  sigreturn: `
    static void handler(int s) {}
    int main(void) { signal(SIGUSR1, handler); for (int i = 0; i < 100; i++) raise(SIGUSR1);
      if (fork() == 0) { __asm__ volatile("mov $0x7fffffff0000, %rsp; mov $15, %eax; syscall"); _exit(0); }
      int status; wait(&status); printf("%d\\n", WTERMSIG(status)); }`,
};

let image: Image;
before(async () => {
  if (!HAS_GCC) return;
  image = await staticImage(Object.fromEntries(Object.entries(PROGRAMS).map(([name, code]) => [name, HEADERS + code])));
});

test('a program starts, prints and exits', { skip }, () => {
  const { end, stdout, unimplemented } = runProgram(image, ['/bin/hello', 'you']);
  assert.deepEqual(end, { kind: 'exit', code: 7 });
  assert.equal(stdout, '2 you /home/user\n');
  assert.deepEqual(unimplemented, []);
});

test('the vDSO and the kernel tell the same time', { skip }, () => {
  assert.equal(runProgram(image, ['/bin/clock']).stdout, '1\n');
});

test('threads with a mutex', { skip }, () => {
  assert.equal(runProgram(image, ['/bin/threads']).stdout, `${28 * 2000}\n`);
});

test('spinning threads are preempted', { skip }, () => {
  assert.equal(runProgram(image, ['/bin/preempt']).stdout, 'stopped\n');
});

test('fork, exec, pipes and wait', { skip }, () => {
  assert.equal(runProgram(image, ['/bin/children']).stdout, '24 bytes, codes 9\n');
});

test('running out of memory ends the sandbox, and says so', { skip }, () => {
  const { end } = runProgram(image, ['/bin/memory'], { memoryBytes: 64 << 20 });
  assert.ok(end.kind === 'limit' && end.limit === 'memory', JSON.stringify(end));
});

test('the output limit', { skip }, () => {
  const { end, stdout } = runProgram(image, ['/bin/output'], { limits: { outputBytesMax: 5500 } });
  assert.ok(end.kind === 'limit' && end.limit === 'output');
  assert.equal(stdout.length, 5500);
});

test('faults: killed, or handled with the right siginfo', { skip }, () => {
  assert.deepEqual(runProgram(image, ['/bin/segv']).end, { kind: 'signal', signo: 11, detail: 'address 0x1234' });
  const jump = runProgram(image, ['/bin/jump']).end;
  assert.ok(jump.kind === 'signal' && jump.signo === 11, JSON.stringify(jump));
  assert.equal(runProgram(image, ['/bin/handled']).stdout, '11 1 2000\n');
  assert.equal(runProgram(image, ['/bin/sigreturn']).stdout, '11\n');
});

test('strace shows the calls of a program', { skip }, () => {
  let text = '';
  runProgram(image, ['/bin/hello', 'you'], { trace: (line) => { text += line; } });
  assert.match(text, /^write\(1, "2 you \/home\/user\\n", 17\) += 17$/m);
  assert.match(text, /^exit_group\(7\) += \?$/m);
  assert.match(text, /^\+\+\+ exited with 7 \+\+\+$/m);
});
