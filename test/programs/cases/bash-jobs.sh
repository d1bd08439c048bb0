# bash: job control without a terminal: set -m, jobs, bg, fg, stopping, disown, wait -n, process groups.
set -m
sleep 0.3 &
sleep 0.2 &
jobs -r | sed 's/ *$//'
echo "running $(jobs -rp | wc -l)"
wait
echo "all done $?"
sleep 30 &
pid=$!
kill -STOP $pid
sleep 0.1
jobs >listed
ps -o stat= -p $pid | cut -c1
bg %% >>listed
jobs >>listed
sed 's/  */ /g' listed
kill %%
wait $pid
echo "status $?"
(exit 3) &
(
  sleep 0.1
  exit 4
) &
wait -n
echo "first $?"
wait -n
echo "second $?"
wait -n
echo "none $?"
(
  sleep 0.2
  exit 7
) &
fg %% >/dev/null
echo "fg $?"
sleep 20 &
[ "$(ps -o pgid= -p $! | tr -d ' ')" = $! ] && echo "own group"
{
  kill -- -$!
  wait $!
  killed=$?
  :
} 2>/dev/null # bash says that it was terminated, or not, as it happens to look
echo "group killed $killed"
set +m
sleep 20 &
p=$!
[ "$(ps -o pgid= -p $p | tr -d ' ')" != $p ] && echo "our group"
disown $p
jobs | wc -l
kill $p
(
  sleep 0.1
  echo late
) &
wait $!
echo "then $?"
coproc BC { while read -r a b; do echo $((a * b)); done; }
echo 6 7 >&${BC[1]}
read -r r <&${BC[0]}
echo "coproc $r"
eval "exec ${BC[1]}>&-"
wait $BC_PID
echo "coproc end $?"

nohup bash -c 'kill -HUP $$; echo still here' 2>/dev/null
(
  sleep 0.05 &
  sleep 0.1 &
  wait
  echo "subshell waited"
)
time_out() {
  timeout --foreground -s INT 0.2 sleep 10
  echo "timeout $?"
  timeout -k 0.1 0.1 bash -c 'trap "" TERM; sleep 3 & wait; sleep 3'
  echo "killed $?"
}
time_out
for i in 1 2 3 4 5; do (
  sleep 0.0$i
  echo "worker $i"
) & done | sort
wait 99999 2>/dev/null
echo "not a child $?"
xargs -P 4 -I{} sh -c 'sleep 0.0{}; echo {}' < <(seq 1 8) | sort -n | paste -sd' '
