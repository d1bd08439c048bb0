# bash: here-documents, process substitution, descriptors, expansions, arrays, arithmetic, read, globs, getopts, functions.
name=world
cat <<EOF
hello $name $((6 * 7)) $(echo nested $(echo deep))
EOF
cat <<'EOF'
literal $name
EOF
cat <<-EOF
	tabs removed
	EOF
cat <<<"here string ${name^^}"
big=$(head -c 200000 /dev/zero | tr '\0' y)
cat <<EOF | wc -c
$big
EOF
diff <(printf '%s\n' a b c) <(printf '%s\n' a x c)
echo "diff $?"
comm -12 <(seq 1 10) <(seq 5 15) | paste -sd' '
echo data > >(tr a-z A-Z >upper)
sleep 0.1
cat upper
exec 3>file
echo to three >&3
exec 3>&-
exec 4<file
read -r x <&4
echo "$x"
exec 4<&-
exec {fd}>auto
echo "fd $((fd >= 10))" >&$fd
exec {fd}>&-
cat auto
ls /nonexistent 2>&1 | sed 's/.*: //'
ls -d /proc/self/fd/{0,1,2} | wc -l
set -o noclobber
{ echo y >file; } 2>/dev/null || echo "no clobber"
echo z >|file
cat file
set +o noclobber
declare -A map=([one]=1 [two]=2)
for k in $(printf '%s\n' "${!map[@]}" | sort); do echo "$k=${map[$k]}"; done
a=(x y z)
a+=(w)
echo "${#a[@]} ${a[@]:1:2} ${a[-1]} ${a[*]/y/Y}"
unset 'a[1]'
echo "${!a[*]}"
s=/path/to/file.tar.gz
echo "${s##*/} ${s%%.*} ${s/to/from} ${#s} ${s:6:2} ${s^} ${unset:-default} ${s@Q}"
echo $((0x1f + 010 + 2#101)) $((7 / 2)) $((-7 % 3)) $((1 << 40)) $((5 > 3 ? 1 : 0))
((x = 5, x = x ** 2))
echo $x
printf '%5.2f|%-6s|%06d|%x|%q\n' 3.14159 ab 42 255 'a b'
printf '%(%Y-%m-%d %H:%M:%S)T\n' 86400
IFS=: read -r a b c <<<'1:2:3:4'
echo "$a $b $c"
read -r -d '' text < <(printf 'with\0zero')
echo "$text"
read -r -n 3 part <<<abcdef
echo "$part"
read -r -t 0.1 never < <(sleep 1)
echo "timeout $(($? > 128))"
echo x | (
  read -r -t 0
  echo "ready?"
)
mkdir -p g/{a,b}/{1,2}
touch g/a/1/{x,y}.txt g/b/2/z.log
shopt -s globstar extglob nullglob
echo g/**/*.txt
echo g/*/!(1)
echo no*match
echo g/[[:alpha:]]
opts() {
  local OPTIND o
  while getopts ab:c o; do echo "$o ${OPTARG-}"; done
  shift $((OPTIND - 1))
  echo "rest $*"
}
opts -a -b val -c r1 r2
opts -x 2>&1 | sed 's/.*illegal/illegal/'
[[ abc123 =~ ^([a-z]+)([0-9]+)$ ]] && echo "${BASH_REMATCH[1]} ${BASH_REMATCH[2]}"
[[ a < b && -d g && ! -e nope ]] && echo tests
case foo.c in *.h) echo h ;; *.c) echo c ;;& f*) echo also ;; esac
fib() {
  local n=$1
  ((n < 2)) && {
    echo $n
    return
  }
  echo $(($(fib $((n - 1))) + $(fib $((n - 2)))))
}
fib 10
eval 'echo evaluated'
source <(echo 'sourced() { echo from source; }')
sourced
(cd g && pwd | sed 's|.*/||')
pushd g >/dev/null
dirs | wc -w
popd >/dev/null
echo "$BASH_SUBSHELL $(echo $BASH_SUBSHELL) ${FUNCNAME-main} $LINENO"
echo "$(umask) $UID $(id -un) $(type -t cd) $(type -t ls)"
ulimit -n 50
ulimit -n
ulimit -S -c
bash -c 'exit 300'
echo $?
nosuchcommand 2>/dev/null
echo $?
/etc/passwd 2>/dev/null
echo $?
ln -s /bin/bash loop
./loop -c 'echo $0'
bash -s arg <<<'echo "from stdin $1"'
printf '#!/bin/sh -e\necho script $0 "$@"\nfalse\necho no\n' >s
chmod +x s
./s 1 '2 3'
echo "exit $?"
exec 2>&1
set -u
(echo $undefined) 2>&1 | sed 's/.*: \(undefined\)/\1/'
set -x
: traced
set +x
times | wc -l
