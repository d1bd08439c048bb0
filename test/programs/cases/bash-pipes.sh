# bash: pipelines, their statuses, lastpipe, big data, SIGPIPE, named pipes.
set -o pipefail
seq 1 100000 | sort -rn | head -3
echo "statuses ${PIPESTATUS[*]}"
yes | head -n 5 | tr -d '\n'
echo " statuses ${PIPESTATUS[*]}"
false | true | (exit 3)
echo "$? ${PIPESTATUS[*]}"
! true | false
echo $?
head -c 3000000 /dev/zero | tr '\0' 'x' | wc -c
for i in 1 2 3; do echo $i; done | while read -r n; do echo "got $n"; done
shopt -s lastpipe
echo inside | read -r kept
echo "kept $kept"
mkfifo pipe
(
  echo through the fifo
  echo twice
) >pipe &
cat <pipe
wait
exec 5<>pipe
echo buffered >&5
read -r line <&5
echo "$line"
exec 5>&-
{
  echo out
  echo err >&2
} 2>&1 >/dev/null | sed 's/^/only: /'
cat < <(
  echo a
  sleep 0.05
  echo b
) | cat -n
seq 1 20 | tee >(wc -l >count) >(tail -1 >last) | paste -sd,
while [ ! -s count ] || [ ! -s last ]; do sleep 0.02; done
cat count last
(
  trap '' PIPE
  {
    sleep 0.1
    echo x
  } | true
  seq 1 100000 2>error | head -1
  echo "${PIPESTATUS[*]}"
  cat error
)
seq 1 50000 | while read -r n; do [ "$n" = 7 ] && break; done
echo "status ${PIPESTATUS[0]}"
printf '%s\n' {a..e} | mapfile -t list
echo "${#list[@]} ${list[*]}"
timeout 0.1 sleep 5 | cat
echo "timeout ${PIPESTATUS[0]}"
