# gcc and make: compile, link statically and dynamically, a shared library, parallel make, errors, dependencies.
cat >lib.c <<'C'
#include "lib.h"
int counter;
int twice(int x) { counter++; return 2 * x; }
C
echo 'int twice(int x); extern int counter;' >lib.h
cat >main.c <<'C'
#include <stdio.h>
#include <math.h>
#include <pthread.h>
#include <dlfcn.h>
#include "lib.h"
static void *work(void *arg) { return (void *)(long)twice((int)(long)arg); }
int main(int argc, char **argv) {
  pthread_t t; void *r; pthread_create(&t, 0, work, (void *)21L); pthread_join(t, &r);
  printf("%ld %d %.3f %d\n", (long)r, counter, sqrt(2.0 * argc), argc);
  void *handle = argc > 1 ? dlopen(argv[1], RTLD_NOW) : 0;
  if (handle) printf("dlsym %d\n", ((int (*)(int))dlsym(handle, "twice"))(4));
  return 0;
}
C
cat >Makefile <<'M'
CFLAGS = -O2 -Wall -g
OBJS = main.o lib.o
all: static dynamic shared
static: $(OBJS) ; gcc -static -o $@ $^ -lm
dynamic: $(OBJS) ; gcc -o $@ $^ -lm
liblib.so: lib.c ; gcc $(CFLAGS) -shared -fPIC -o $@ $<
shared: main.o liblib.so ; gcc -o $@ main.o -L. -llib -lm -Wl,-rpath,'$$ORIGIN'
%.o: %.c lib.h ; gcc $(CFLAGS) -MMD -c $<
clean: ; rm -f *.o *.d static dynamic shared liblib.so
.PHONY: all clean
M
make -j4 -Otarget | sort
for p in static dynamic shared; do
  ./$p ./liblib.so
  file -b $p | cut -d, -f1-2
done
make
touch lib.h
make -n | wc -l
make clean
echo 'int main( { return x; }' >bad.c
gcc -c bad.c 2>&1 | head -4
echo "gcc ${PIPESTATUS[0]}"
make nothing 2>&1
echo "make $?"
gcc -S -O1 -o - lib.c | grep -c twice
gcc -E lib.c | tail -3
gcc -O2 -c lib.c && nm lib.o && objdump -d lib.o | grep -c ret
ar rcs liba.a lib.o
ranlib liba.a
ar t liba.a
gcc -pipe main.c liba.a -lm -o piped && strip piped && ./piped
size lib.o | tail -1
readelf -h piped | grep -E 'Type|Machine'
ldd piped | awk '{print $1}'
gcc -flto -O3 main.c lib.c -o lto -lm && ./lto
gcc -fsanitize=undefined -o ub -x c - -xnone -lm <<<'int main(int c, char **v) { return (c + 0x7fffffff) & 1; }' 2>&1 | head -3
./ub 2>&1 | sed 's/.*runtime error/runtime error/'
echo 'int main(){__builtin_trap();}' | gcc -x c - -o trap
./trap
echo "trap $?"
gcc -v 2>&1 | tail -1
gcc -print-file-name=libc.so
printf 'all: a b c d e f\n%%: ; @sleep 0.0$(shell printf %%d $$((RANDOM %% 5)) ) ; echo done $@\n' >M2
make -s -f M2 -j3 | sort
printf 'x:\n\t@echo $(MAKELEVEL)\n\t@+[ $(MAKELEVEL) = 3 ] || $(MAKE) -s --no-print-directory -f M3\n' >M3
make -s --no-print-directory -f M3 -j2
printf 'a:\n\t@false\n\t@echo no\n' | make -f - 2>&1 | sed 's,.tmp.G[A-Za-z0-9]*,M,'
printf 'a:\n\t-@kill -9 $$$$\n\t@echo goes on\n' | make -f - 2>&1 | sed 's,.tmp.G[A-Za-z0-9]*,M,'
