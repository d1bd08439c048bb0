# A real C project from Debian's source package: configure, make, its own tests, in parallel and again.
# slow: yes
# timeout: 900
tar -xf /usr/src/zlib.tar && cd zlib-* || exit 1
cat *.c *.h test/*.c | wc -l
./configure --prefix=/tmp/case/out >configure.out 2>&1
echo "configure $?"
sed 's/[0-9]* *$//' configure.out | head -30
make -j2 >make.out 2>make.err
echo "make $?"
sort make.out | md5sum
cat make.err
ls *.a *.so* example* minigzip* | sort
make test 2>&1 | grep -v '^gcc'
echo "test ${PIPESTATUS[0]}"
make install >/dev/null
find /tmp/case/out -type f | sort
nm -D libz.so | grep -c ' T '
./minigzip <configure >c.gz
./minigzip -d <c.gz | cmp - configure && echo round trip
make clean >/dev/null
ls *.o 2>/dev/null
make libz.a >/dev/null 2>&1
echo "again $?"
make 2>&1 | tail -1 | wc -l
cd contrib/minizip 2>/dev/null && make >/dev/null 2>&1
echo "minizip $?"
