# bash: traps of signals, EXIT, ERR, DEBUG and RETURN; wait interrupted by a trap; kill.
# exit: 5
trap 'echo "on exit $?"' EXIT
trap 'echo usr1' USR1
kill -USR1 $$
(
  trap 'echo inner exit' EXIT
  exit 4
)
echo "inner $?"
(
  trap 'echo term; exit 9' TERM
  (
    sleep 0.1
    kill -TERM $BASHPID
    kill -TERM $PPID
  ) &
  kill -TERM $BASHPID
  echo not reached
)
echo "after term $?"
trap 'echo alarm' ALRM
(
  sleep 0.1
  kill -ALRM $$
) &
wait $!
echo "wait $?"
wait
echo "second wait $?"
sleep 10 &
pid=$!
trap 'echo got hup' HUP
(
  sleep 0.1
  kill -HUP $$
) &
wait $pid
echo "interrupted: $?"
kill $pid
wait $pid
echo "killed: $?"
for s in INT QUIT TERM KILL SEGV ABRT PIPE; do
  (kill -$s $BASHPID) 2>/dev/null
  echo "$s $?"
done
(
  trap '' TERM
  kill -TERM $BASHPID
  echo survived TERM
  bash -c 'kill -TERM $$; echo inherited as ignored'
)
f() {
  trap 'echo returned' RETURN
  echo in f
}
f
trap - RETURN
set -E
trap 'echo "error at depth ${#FUNCNAME[@]}: $?"' ERR
g() { false; }
g
(exit 6)
trap - ERR
trap 'n=$((n+1))' DEBUG
:
:
trap - DEBUG
echo "debug $n"
trap -p USR1 ALRM
trap - USR1
trap -p USR1
(
  trap 'echo chld' CHLD
  /bin/true
  sleep 0.05 &
  wait
  :
) | sort -u
bash -c 'trap "echo bye; trap - INT; kill -INT \$\$" INT; kill -INT $$; echo no'
echo "died of INT: $?"
kill -l 130
kill -l TERM
kill -0 $$ && echo alive
kill -0 999999 2>/dev/null || echo "nobody"
(
  ulimit -c 0
  bash -c 'kill -SEGV $$'
  echo "segv $?"
) 2>&1 | sed 's,line.*  \(S[a-z]*\),\1,; s,  .*,,'
exit 5
