# findutils, sed, awk (gawk and mawk), grep.
# exit: 1
mkdir -p t/{a,b}/{c,d}
for f in t/a/x.c t/a/c/y.h t/b/d/z.c 't/b/sp ace.txt'; do echo "content of $f" >"$f"; done
ln -s ../a t/b/link
touch -d '2 days ago' t/a/x.c
chmod 600 t/a/x.c
truncate -s 20k t/b/big
find t | sort
find t -name '*.c' -print0 | sort -z | xargs -0 wc -l
find t -type l -printf '%p -> %l\n'
find -L t -name y.h | sort
find t -newer t/a/x.c -type f | sort
find t -mtime +1
find t -size +10k
find t -perm 600
find t -empty | sort
find t -maxdepth 1 -mindepth 1 | sort
find t -path '*/d/*' -o -name '*.h' | sort
find t -type f -exec basename {} \; | sort
find t -type f -exec echo many {} + | tr ' ' '\n' | sort | head -3
find t -name c -prune -o -type f -print | sort
find t -regex '.*/[xy]\..' | sort
find t -iname 'X.C' -execdir pwd \; | sed 's|.*/||'
find t -depth -type d | tail -1
find t -links 1 -user "$(id -un)" -printf '%f %s %m %y %d\n' | sort
find nothere 2>&1
find t -name '*.txt' -delete
find t -type f | wc -l
find t -inum "$(stat -c %i t/a/x.c)"
find /proc/self/ -maxdepth 1 -name status
find /usr/lib -name 'lib*.so*' | wc -l
find t -samefile t/a/x.c
find t -ok true {} \; </dev/null 2>&1 | wc -c
printf 'a b\nc\n"d e"\n' | xargs -n1 echo
seq 10 | xargs -n3 echo
seq 3 | xargs -I{} echo '<{}>'
echo | xargs -r echo no
seq 5 | xargs -P3 -n1 sh -c 'exit $(($1 == 3))' _
echo "xargs $?"
xargs -a <(echo from file) echo
seq 100000 | xargs echo | wc -l
seq 5 | xargs -t -n5 echo 2>&1
xargs --show-limits </dev/null 2>&1 | grep -c POSIX
printf '%s\n' one two three four >f
sed -n 2p f
sed '/two/,/three/d' f
sed 's/o/0/g; 1!G; h; $!d' f
sed -E 's/(.)(.*)/\2\1/' f
sed -i.bak '2i inserted' f
cat f
ls f*
sed '$a end' f | tail -1
sed = f | sed 'N;s/\n/ /'
sed 'y/abc/ABC/; /^t/w out' f >/dev/null
cat out
sed -s -n '$p' f out
sed ':a;N;$!ba;s/\n/,/g' f
sed --posix 's/x*/-/g' <<<abc
sed -u 1q f
sed 5q7 f >/dev/null
echo "q $?"
sed -z 's/\n/;/g' f
echo
sed 's/t.*/echo run &/e' f
sed -n 'l' <<<$'tab\there'
sed k f 2>&1
for awk in gawk mawk; do
  echo "$awk"
  $awk 'BEGIN { for (i = 1; i <= 3; i++) s = s i; print s, length(s), substr("hello", 2, 3), index("abc", "c"), toupper("x") }'
  $awk -F: '$3 == 0 { print $1, NF }' /etc/passwd
  seq 100 | $awk '{ s += $1; if ($1 % 2) odd[NR] = $1 } END { n = 0; for (k in odd) n++; print s, s / NR, n }'
  $awk '{ print NR ": " $NF > "awkout" } END { close("awkout"); while ((getline line < "awkout") > 0) print line }' f
  $awk 'BEGIN { "echo command" | getline x; print x; print "c\nb\na" | "sort"; close("sort"); print system("exit 3"); printf "%05.1f %s %c %x\n", 3.14159, "str", 65, 255; n = split("a-b-c", parts, "-"); print n, parts[3]; gsub(/o/, "0", x); print x; print match("foobar", /o+/), RSTART, RLENGTH; print 2^10, 7 % 3, 1e6, 0.1 + 0.2; exit 4 }'
  echo "exit $?"
  $awk 'function f(n) { return n < 2 ? n : f(n-1) + f(n-2) } BEGIN { print f(18); while ((getline line < "/etc/hostname") > 0) n++; print ENVIRON["TZ"], ARGC, srand(1) >= 0 }'
  seq 300000 | $awk '{ a[$1 % 1000] += $1 } END { print a[7], length(a) }'
done
gawk 'BEGIN { n = asort(split("", x)) ; PROCINFO["sorted_in"] = "@ind_str_asc"; a["b"]; a["a"]; for (k in a) print k; print strftime("%F", 0, 1), gensub(/(.)b/, "\\1X", "g", "abcb"); cmd = "cat"; print "to coprocess" |& cmd; close(cmd, "to"); cmd |& getline r; print r; print systime() > 0 }'
grep -n t f
grep -c o f
grep -v t f
grep -E '^(one|two)$' f
grep -o '[aeiou]' <<<education | paste -sd ''
grep -r content t | sort
grep -rl --include='*.c' content t | sort
grep -q nothing f
echo $?
grep x nofile 2>&1
echo $?
grep -A1 -B1 two f
grep -P '\d{3}' <<<'ab123'
grep -iw ONE f
grep -F -f <(echo two) f
grep -z x < <(printf 'x\0y\0') | tr '\0' '\n'
seq 100000 | grep -c 7
grep -abo t f | head -2
zgrep 1 <(seq 3 | gzip)
diff -u f f.bak | tail -n +3
diff -y -W 20 f f.bak
cmp f f.bak
patch --version >/dev/null 2>&1
diff3 f f.bak f
sdiff -s f f.bak
