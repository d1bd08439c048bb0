# Text tools in pipelines: sort, uniq, awk, sed, grep, cut, tr, join, comm, diff, printf, bc-free arithmetic, here documents.
# timeout: 90
cat > data <<DATA
pear 3 green
apple 10 red
fig 7 purple
apple 2 green
DATA
sort data; sort -k2n data; sort -u -k1,1 data | wc -l
awk '{ sum[$1] += $2 } END { for (k in sum) print k, sum[k] }' data | sort
awk -F'[ ]' 'NR > 1 && $2 > 2 { printf "%-6s|%5.2f\n", $1, $2 / 3 }' data
sed -E 's/^(\w+) ([0-9]+)/\2 \1/; /fig/d' data; sed -n '2,3p' data; sed -i 's/red/RED/' data; grep RED data
grep -c green data; grep -vn apple data; grep -oE '[0-9]+' data | paste -sd+ ; grep -q none data; echo $?
cut -d' ' -f1,3 data | tr a-z A-Z; tr -d '\n' < data | wc -c; rev <<< "stressed" 2>/dev/null || echo desserts
sort data > s1; sort <<< $'apple 2 green\nkiwi 1 green' > s2; comm -12 s1 s2; diff s1 s2; echo "diff $?"
join <(sort -k1,1 data) <(printf 'apple A\nfig F\n')
head -2 data | tail -1; tac data | head -1; nl -ba data | head -1; fold -w 10 <<< "a line of more than ten"; wc data
printf '%05d %x %s %q\n' 42 255 "two words" 'quo"te'; printf '%s\n' {a..c}{1..2} | tr '\n' ' '; echo
echo $((2 ** 40 + 7 % 4)) $((0x1f & 10)) $(expr 6 \* 7) $(seq -s, 1 3 10) $(factor 1001)
s="hello world"; echo "${s^} ${s/o/0} ${s//o/0} ${#s} ${s:3:4} ${s%% *} ${s##* } ${missing:-default}"
declare -A map=([one]=1 [two]=2); echo "${map[two]} ${#map[@]}"; a=(x y z); echo "${a[@]:1} ${#a[*]} ${a[-1]}"
while IFS=, read -r first second; do echo "$second-$first"; done <<< $'a,b\nc,d'
case abc in a*) echo starts;; esac; [[ abc123 =~ ([a-z]+)([0-9]+) ]] && echo "${BASH_REMATCH[2]}"
split -l 2 data part- && wc -l part-*; csplit -s data /fig/ && cat xx01
cat data | tee copy | md5sum | cut -c1-8; cmp data copy && echo equal
date -u -d @1700000000 +'%F %T %Z'; TZ=Europe/Berlin date -d '2024-07-01 12:00 UTC' +%H:%M; date -u -d '2024-02-28 +2 days' +%F
numfmt --to=iec 1048576; shuf -i 1-10 | sort -n | tr '\n' ' '; echo; seq 3 | while read -r n; do echo -n "$n;"; done; echo
cat <<-'END' | od -An -tx1
	tabs gone $HOME
	END
LC_ALL=C sort <<< $'b\nA\na\nB' | tr '\n' ' '; sort -f <<< $'b\nA' | tr '\n' ' '; echo; iconv -f UTF-8 -t UTF-16LE <<< "ü" | od -An -tx1
