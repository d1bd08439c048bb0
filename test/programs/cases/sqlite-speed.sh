# A speed test of sqlite3: many inserts with and without transactions, indexes, joins, updates, deletes, a vacuum.
# slow: yes
# timeout: 600
for journal in delete wal memory off; do
  rm -f db*
  {
    echo "pragma journal_mode=$journal; create table t(a integer primary key, b int, c text);"
    for i in $(seq 1 300); do echo "insert into t values($i, $((i * 7919 % 1000)), 'number $i');"; done
    echo 'begin;'
    for i in $(seq 301 20000); do echo "insert into t values($i, $((i * 7919 % 10007)), 'number $i');"; done
    echo 'commit;'
    echo 'create index tb on t(b); create index tc on t(c); analyze;'
    for i in $(seq 1 300); do echo "select count(*), sum(a) from t where b between $i and $((i + 20));"; done
    echo "update t set c = c || 'x' where b < 5000; select count(*) from t a join t b on a.b = b.b where a.a < b.a; delete from t where a % 3 = 0; vacuum; pragma integrity_check; select count(*), sum(b), max(c) from t;"
    echo 'create table u as select * from t order by c desc; select count(distinct b) from u; drop table t;'
  } | sqlite3 db | md5sum
  stat -c %s db
done
sqlite3 big "pragma cache_size=100; create table w(k blob, v blob); with recursive c(n) as (select 1 union all select n + 1 from c where n < 100000) insert into w select zeroblob(20) || n, n * 3 from c; create index wk on w(k); select count(*) from w where k > zeroblob(20) || 5; select sum(v) from (select v from w order by k desc limit 1000);"
