# tar, gzip, bzip2, xz (threads), zstd (threads): owners, modes, times, links, holes, increments, streams, damage.
mkdir -p src/deep/er
seq 1 20000 >src/numbers
head -c 300000 /dev/urandom >src/random
ln src/numbers src/hard
ln -s ../numbers src/deep/soft
mkfifo src/fifo
chmod 751 src/deep
touch -d '2003-04-05 06:07:08.9 UTC' src/deep/er
truncate -s 5M src/hole
echo end >>src/hole
touch "src/name with spaces" "src/ünï" $'src/new\nline'
# Whole seconds decide in tar: what is changed below must be younger than all this.
touch -d "2004-05-06 07:08:09.5 UTC" src/numbers src/random src/hole src/fifo
sum() { (
  cd "$1" && find . -printf '%P %y %m %s %l %T@\n' | sort
  find . -type f -exec md5sum {} + | sort
) | md5sum; }
expected=$(sum src)
for z in '' z j J '-zstd'; do
  flag=${z:+-$z}
  tar --sort=name $flag -cSf "archive$z.tar" src
  mkdir "out$z"
  tar -xpf "archive$z.tar" -C "out$z"
  [ "$(sum "out$z/src")" = "$expected" ] && echo "same $z"
  stat -c %h "out$z/src/hard"
  du -k "out$z/src/hole" | cut -f1
done
tar -tvf archive.tar --numeric-owner --full-time | awk '{print $1, $3, $4, $6, $7, $8}' | sed 's/2[0-9]*-[0-9-]* [0-9:]*\.*[0-9]* //; s/^\(.\{10\}\) \([0-9]* \)[^ ]* *\(.*\)$/\1 \2\3/' | sort | head -20
tar -cf inc.tar -g snapshot src
sleep 0.05 # a file's time is that of the last tick, up to 10 ms ago: perhaps before tar began
echo more >>src/numbers
touch src/new
tar -cf inc2.tar -g snapshot src
tar -tf inc2.tar | sort
tar -rf archive.tar src/new
tar -uf archive.tar src/numbers
tar -tf archive.tar | wc -l
tar --delete -f archive.tar src/random
tar -df archive.tar 2>&1 | sort | head
tar -xOf archive.tar src/new | wc -c
tar --exclude='*.x' --transform 's/^src/dst/' -cf - src | tar -tf - | sort | head -4
tar -C src -cf - . | (
  mkdir via
  tar -C via -xf -
)
diff -r --no-dereference -x fifo src via && echo piped
tar -cf multi.tar -M -L 200 src/numbers -F 'exit 1' 2>/dev/null
head -c 1000 inc.tar | tar -tf - 2>&1 | tail -1
tar xf nothere.tar 2>&1
tar -cf x.tar nothere 2>&1
tar --one-file-system --sort=name --mtime=@0 --owner=0 --group=0 -cf - src/deep | md5sum | wc -c
for tool in gzip bzip2 xz zstd; do
  cp src/numbers n
  $tool -k n
  ls n.*
  $tool -dc n.* | cmp - n && echo "$tool ok"
  $tool -t n.* && echo tested
  $tool -9 -c n | wc -c
  head -c 500 n.* | $tool -dc >/dev/null 2>&1
  echo "truncated $?"
  cat n.* n.* | $tool -dc | wc -l
  rm n.*
  rm -f n
done 2>&1
xz -T2 --block-size=50000 -c src/random | xz -dc -T2 | cmp - src/random && echo threads
xz -l <(:) 2>/dev/null
xz -c src/numbers >n.xz
xz -l n.xz | tail -1 | awk '{print $1, $2, $NF}'
xz --format=lzma -c src/numbers | xz -dc --format=lzma | wc -l
xz -M 1MiB -9 -c src/numbers 2>&1 >/dev/null | head -1 | cut -c1-60
zstd -T2 -q -19 -c src/numbers | zstd -dc | cmp - src/numbers && echo zstd threads
zstd -q --train src/deep/er 2>/dev/null
zstd -q -B100K -T4 src/random -o r.zst
zstd -lq r.zst 2>/dev/null | tail -1 | awk '{print $1}'
zstd -q --long=27 -c src/hole | zstd -dc --long=27 | cmp - src/hole && echo long
zstd -q --sparse -d r.zst -o r
cmp r src/random
zstd -q --rm r
ls r r.zst 2>&1 | tail -2
gzip -c src/numbers >m.gz
gzip -l m.gz | tail -1 | awk '{print $2, $3}'
zcat m.gz | head -1
gunzip -c m.gz | tail -1
echo junk >>m.gz
gzip -dc m.gz 2>&1 >/dev/null
echo "gzip $?"
bzip2 -c src/numbers | bzcat | tail -1
bzip2recover 2>&1 | wc -l
python3 -m tarfile -l inc2.tar | wc -l
python3 -m zipfile -c z.zip src/numbers src/deep
python3 -m zipfile -l z.zip | awk '{print $1, $NF}'
python3 -m zipfile -t z.zip
