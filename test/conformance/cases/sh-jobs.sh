# Processes with the shell: background jobs, wait, traps, exit codes, pipefail, subshells, timeout, xargs, nice, kill.
# timeout: 90
exec 2> /dev/null # bash reports killed jobs there, with their pids
sleep 0.2 & pid=$!
wait $pid; echo "waited $?"
(exit 7) & wait $!; echo "code $?"
false | true; echo "pipe $? ${PIPESTATUS[*]}"
set -o pipefail; false | true; echo "pipefail $?"; set +o pipefail
sh -c 'kill -9 $$'; echo "killed $?"
bash -c 'exit 300'; echo "wrapped $?"
no-such-command 2>/dev/null; echo "missing $?"
/etc/passwd 2>/dev/null; echo "not executable $?"
timeout 0.1 sleep 5; echo "timeout $?"
timeout -s KILL 0.1 sleep 5 2>/dev/null; echo "timeout kill $?"
trap 'echo "got USR1"' USR1; kill -USR1 $$; echo after
trap 'echo leaving' EXIT
(trap 'echo subshell leaving' EXIT; exit 3); echo "subshell $?"
sleep 10 & until [ "$(cat /proc/$!/comm)" = sleep ]; do sleep 0.01; done; kill $!; wait $! 2>/dev/null; echo "terminated $?"
for i in 1 2 3 4 5; do (sleep 0.0$i; echo "job $i" >> log) & done; wait; sort log
seq 20 | xargs -n 6 echo; seq 8 | xargs -P 4 -I{} sh -c 'echo $(({} * {}))' | sort -n | tr '\n' ' '; echo
x=outer; (x=inner; echo $x); echo $x
echo $(echo nested $(echo deeper))
yes | head -3; yes | head -c 100000 | wc -c
cat <(echo process) <(echo substitution) | tee >(wc -l > counted) > both; sleep 0.2; cat both counted
exec 5> descriptor; echo to five >&5; exec 5>&-; cat descriptor; (echo closed >&5) || echo "descriptor closed"
coproc BACK { while read -r line; do echo "back: $line"; done; }
echo hello >&"${BACK[1]}"; read -r answer <&"${BACK[0]}"; echo "$answer"
mkfifo fifo; (echo through > fifo &); cat fifo
read -t 0.1 nothing < <(sleep 1); echo "read timeout $(($? > 128))"
{ echo out; echo err >&2; } 2>&1 >/dev/null
command -v bash > /dev/null && type cd
[ "$(id -u)" = 1000 ] && echo "user 1000"
nohup true 2>/dev/null; nice true; env -i A=1 env
time_used=$( { TIMEFORMAT=%R; time sleep 0.1; } 2>&1 ); case $time_used in 0.[1-9]*|[1-9]*) echo timed;; *) echo "time $time_used";; esac
ulimit -n > /dev/null && (ulimit -n 50; ulimit -n)
echo "$((BASHPID == $$)) $( ( [ $BASHPID != $$ ] ) && echo other)"
set -e; true; (false) || echo "or"; exit 5
