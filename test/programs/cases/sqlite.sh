# sqlite3: schema, transactions, WAL, two processes and their locks, backup, dump, full text, a crash in the middle.
# exit: 26
sqlite3 -version | cut -c1-2
sqlite3 db 'create table t(id integer primary key, name text unique, x real); insert into t(name, x) values (1, 1.5), (2, 2.5); select * from t;'
sqlite3 db 'pragma journal_mode=wal; insert into t(name) values (3); select count(*) from t;'
ls db*
sqlite3 db 'pragma wal_checkpoint(truncate); pragma integrity_check;'
sqlite3 -json db 'select * from t'
sqlite3 db .dump
sqlite3 db '.backup copy'
sqlite3 copy 'select sum(x) from t'
sqlite3 db "vacuum into 'vac'"
cmp vac copy | wc -l
sqlite3 db 'pragma journal_mode=delete'
(sqlite3 db <<<$'begin immediate;\ninsert into t(name) values (10);\n.shell sleep 0.5\ncommit;') &
sleep 0.2
sqlite3 db 'insert into t(name) values (11)' 2>&1
sqlite3 -cmd '.timeout 3000' db 'insert into t(name) values (12); select count(*) from t'
wait
(sqlite3 db <<<$'begin;\nupdate t set x = 99;\n.shell kill -9 $PPID') 2>/dev/null
ls db*
sqlite3 db 'select count(*) from t where x = 99; pragma integrity_check'
for i in 1 2 3 4; do for j in 1 2 3 4 5; do sqlite3 -cmd '.timeout 10000' db "insert into t(name) values ($i * 100 + $j)"; done & done
wait
sqlite3 db 'select count(*) from t'
sqlite3 :memory: 'create virtual table f using fts5(body); insert into f values (1), (2); select count(*) from f;' 2>&1
sqlite3 db 'with recursive c(n) as (select 1 union all select n + 1 from c where n < 100000) select sum(n), count(*) from c; select json_extract(0, 0) is null; select hex(randomblob(4)) <> 0; select date(0, 1);'
echo 'a,b' >csv
echo '1,2' >>csv
sqlite3 db -cmd '.mode csv' '.import csv imported' 'select * from imported'
sqlite3 db 'select nothing' 2>&1
echo "status $?"
sqlite3 /nothere/db 'select 1' 2>&1
sqlite3 -readonly db 'delete from t' 2>&1
echo "garbage garbage" >bad
sqlite3 bad 'select * from sqlite_master' 2>&1
