# Files with the shell and coreutils: find, ls, cp, mv, ln, rm, chmod, stat, touch, tar, gzip, dd, du, mktemp, globs.
# timeout: 90
mkdir -p tree/a/b tree/c
for i in 1 2 3; do echo "file $i" > tree/a/f$i; done
printf 'x%.0s' {1..5000} > tree/c/big
ln -s a/f1 tree/link
ln tree/a/f2 tree/c/hard
touch -d '2020-02-02 02:02:02' tree/a/f3
chmod 640 tree/a/f1; chmod u+x,g-r tree/a/f2
find tree | sort
find tree -type f -size +1k -o -type l | sort
find tree -name 'f*' -newermt 2021-01-01 -exec basename {} \; | sort
stat -c '%n %a %s %F %h' tree/a/* tree/link tree/c | sort
stat -c '%y' tree/a/f3
(cd tree/a && ls -A && ls -l --time-style=+%F f3 | cut -d' ' -f1,5-)
cp -a tree copy && diff -r tree copy && readlink copy/link
mv copy/a/f1 copy/renamed && ls copy copy/a
cp tree/a/f1 tree/c/ && cat tree/c/f1
tar czf t.tgz tree && mkdir out && tar xzf t.tgz -C out && diff -r tree out/tree && tar tzf t.tgz | sort
gzip -k tree/c/big && gunzip -c tree/c/big.gz | cksum
dd if=/dev/zero of=zeros bs=1000 count=7 2>/dev/null && wc -c < zeros
dd if=tree/c/big of=part bs=1 skip=10 count=20 status=none && cat part && echo
truncate -s 10000 sparse && stat -c '%s %b' sparse
rm -r copy out && ls -d copy out 2>&1
rmdir tree 2>&1; rm tree 2>&1; cat missing 2>&1; cp missing x 2>&1; mkdir tree 2>&1; mv tree tree/x 2>&1
f=$(mktemp) && test -O "$f" && stat -c %a "$f" && rm "$f"
echo tree/*/f? tree/{a,c}/* no-such-*
shopt -s globstar nullglob; echo tree/** no-such-*
test -L tree/link -a -x tree/a/f2 -a ! -x tree/a/f1 && echo tests
[ tree/a/f2 -ef tree/c/hard ] && echo same
umask 077; touch private; stat -c %a private
realpath --relative-to=. tree/link; (cd tree/a/b && cd ../.. && basename "$PWD")
df . > /dev/null && du -sb tree/a/f1 | cut -f1
sha256sum tree/c/big | cut -c1-16; base64 part | head -1; od -c part | head -2
install -m 755 -D tree/a/f1 deep/er/prog && stat -c %a deep/er/prog
sync && chmod 000 part && cat part 2>&1
