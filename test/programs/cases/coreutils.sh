# coreutils: files, text, numbers, permissions, links, disk use, dates.
# exit: 2
echo one >a
cp a b
cp -p a c
cp -a . ../copy
mv b d
ln a hard
ln -s a soft
ls -1
stat -c '%n %F %s %h %a %U' a hard soft | sort
stat -L -c '%F' soft
readlink soft
readlink -f soft | sed 's|.*/||'
realpath --relative-to=.. a
basename /x/y.z .z
dirname /x/y.z
chmod 640 a
stat -c %A a
chmod u+x,g=w,o-r a
stat -c %A a
chmod +t,g+s .
stat -c %A .
chmod -t,g-s .
umask 077
touch private
mkdir -m 711 dir
stat -c '%a %n' private dir
install -D -m 755 a p/q/r/installed
find p | sort
mkdir -p x/y/z
rmdir -p x/y/z
ls -d x 2>/dev/null
rm -r p
rm nothere 2>&1
rm -f nothere
rmdir dir a 2>&1
touch -d '2001-02-03 04:05:06.789 UTC' old
stat -c '%y %Y' old
touch -r old same
[ old -nt same ] || echo "same age"
date -u -r old '+%F %T.%N'
date -u -d @1e9 2>&1
date -u -d @1000000000 +%c
truncate -s 1M sparse
du --apparent-size -k sparse | cut -f1
du -k sparse | cut -f1
dd if=/dev/zero of=sparse bs=4k seek=10 count=2 conv=notrunc 2>/dev/null
du -k sparse | cut -f1
cp --sparse=always sparse sparse2
cmp sparse sparse2 && echo equal
fallocate -l 64K fa
stat -c '%s' fa
fallocate -p -o 0 -l 32K fa
du -k fa | cut -f1
dd if=/dev/urandom of=rnd bs=1k count=300 2>/dev/null
split -b 100k rnd part.
ls part.*
cat part.* | cmp - rnd && echo joined
sha256sum rnd | sha256sum -c --quiet <(sed 's/-/rnd/' /dev/stdin) 2>/dev/null
shuf -i 1-5 | sort | paste -sd+ | tee expr | sed 's/$//'
echo $(($(cat expr)))
seq 5 | md5sum
seq 5 | sha1sum
seq 5 | sha512sum | cut -c1-20
seq 5 | b2sum | cut -c1-20
seq 5 | cksum
seq 5 | sum
seq 5 | base64 | tee b64
base64 -d b64 | wc -l
seq 5 | base32 | head -1
seq 5 | od -An -tx1 | head -2
printf 'b 2\na 10\nc 1\n' >t
sort t
sort -k2n t
sort -k2 -r t
sort -u -k1,1 t t | wc -l
seq 200000 | sort -R --random-source=/etc/passwd | sort -n -S 1M --parallel=2 -T . | md5sum
join <(sort t) <(sort t)
paste t t | head -1
cut -d' ' -f2 t | paste -sd,
tr a-c A-C <t
nl t
tac t
rev t 2>/dev/null
fold -w 2 <<<abcdef
fmt -w 20 <<<'some words that are wrapped at twenty'
expand <<<$'a\tb'
unexpand -a <<<'        x' | od -c | head -1
pr -h title -l 15 t | sed 1,5d | head -3
uniq -c <<<$'a\na\nb'
comm <(seq 3) <(seq 2 4)
wc t
head -c 5 t
tail -n +2 t
tail -c 3 t
csplit -s -f cs t /a/
ls cs*
tsort <<<$'a b\nb c'
ptx -G <<<'the end' | wc -l
factor 1234567890 97
numfmt --to=iec 1048576
expr 6 \* 7
test -f t && echo file
seq -w 8 11 | paste -sd' '
seq -s, 0 .5 2
(
  tail -f -n0 log &
  t=$!
  sleep 0.3
  echo line1 >>log
  sleep 0.5
  echo line2 >>log
  sleep 1.2
  kill $t
) 2>/dev/null
touch log
(
  timeout 2 tail -F -n +1 log &
  sleep 0.5
  echo appended >>log
  wait
) 2>/dev/null
ls -l --time-style=+%s a | awk '{print $1,$2,$5}'
ls -la --color=always soft | cat -v | sed 's/.*soft/soft/'
ls -R g 2>&1
ls -i a hard | awk '{print $1}' | uniq | wc -l
ls -S --hide='part*' | head -3
dir -C t a
mktemp -d tmp.XXXX | sed "s,\..*,,"
mktemp -u x.XXXXXX | wc -c
mkfifo ff
stat -c %F ff /dev/null /tmp
mknod n p && stat -c %F n
mknod blk b 7 0 2>&1
sync a
tee t1 t2 <<<x >/dev/null
cat t1 t2
env -i A=1 env
env -u PATH /usr/bin/printenv HOME | sed 's/.*/home/'
printenv A
echo $(($(nice -n 5 nice) - $(nice)))
nproc
whoami
id
groups
uname -sm
hostname
tty
arch
pwd | sed 's|.*/||'
logname 2>&1
stdbuf -oL echo buf
timeout 1 true
echo $?
yes no | head -2
sleep 0.01
true
pathchk -p 'a b'
users
who | wc -l
dircolors -b | head -1 | cut -c1-9
getconf PAGE_SIZE
chroot / true 2>&1
chown root a 2>&1
link a linked
unlink linked
df --output=target /tmp | tail -1
shred -u t1
ls t1 2>&1
cp -r /usr/share/zoneinfo/Europe z
find z -type f | wc -l
rmdir tmp.*
diff -r z /usr/share/zoneinfo/Europe && echo same tree
rm -rf z
cp --reflink=auto a r
cp -n a r
cp -u a r
cp -l a l2
cp -s "$PWD/a" l3
ls -F r l2 l3
mv -n a r
mv -T r rr
mv --backup=numbered rr t
ls t*
cp --parents t dir 2>&1
ls dir
