# Python's sqlite3 and logging with rotation, and other modules that touch files from several threads and processes.
import logging, logging.handlers, multiprocessing, os, queue, re, sqlite3, sys, threading, time, glob, socket, email, http.server, urllib.request, xmlrpc.client, uuid, zoneinfo, datetime, locale, getpass, pwd, grp, platform, resource, gc, unittest, doctest, cProfile, pstats, io, traceback, trace, timeit, select, selectors, signal, ssl
db = sqlite3.connect('db', isolation_level=None)
db.executescript('create table t(id integer primary key, v text); pragma journal_mode=wal;')
with db:
    db.executemany('insert into t(v) values (?)', [(f'value {i}',) for i in range(5000)])
print(db.execute('select count(*), max(v) from t').fetchone(), db.execute('pragma journal_mode').fetchone())
db.create_function('rev', 1, lambda s: s[::-1])
print(db.execute('select rev(v) from t where id = 7').fetchone())
db.create_collation('back', lambda a, b: (a < b) - (a > b))
print(db.execute('select v from t order by v collate back limit 1').fetchone())

def writer(n):
    c = sqlite3.connect('db', timeout=30)
    for i in range(20):
        with c:
            c.execute('insert into t(v) values (?)', (f'w{n} {i}',))
    c.close()
threads = [threading.Thread(target=writer, args=(n,)) for n in range(4)]
processes = [multiprocessing.Process(target=writer, args=(n + 10,)) for n in range(3)]
# Processes first: a fork while threads hold locks of the library would keep them locked in the child.
for w in processes + threads:
    w.start()
for w in threads + processes:
    w.join()
print(db.execute("select count(*) from t where v like 'w%'").fetchone())
db.execute('begin immediate')
other = sqlite3.connect('db', timeout=0.1)
try:
    other.execute('insert into t(v) values (1)')
except sqlite3.OperationalError as error:
    print(error)
db.execute('rollback')
backup = sqlite3.connect('backup')
db.backup(backup, pages=10)
print(backup.execute('select count(*) from t').fetchone())
memory = sqlite3.connect(':memory:')
memory.deserialize(backup.serialize()) if hasattr(memory, 'deserialize') else None
print(sum((1 for _ in backup.iterdump())))
print(sorted(glob.glob('db*')))
log = logging.getLogger('test')
log.setLevel(logging.DEBUG)
log.propagate = False
handler = logging.handlers.RotatingFileHandler('log', maxBytes=2000, backupCount=3)
handler.setFormatter(logging.Formatter('%(levelname)s %(threadName)s %(message)s'))
log.addHandler(handler)
for i in range(200):
    log.info('message number %d', i)
print(sorted(glob.glob('log*')), [os.path.getsize(p) <= 2000 for p in sorted(glob.glob('log*'))], open('log').readlines()[-1])
log.removeHandler(handler)
handler.close()
timed = logging.handlers.TimedRotatingFileHandler('timed', when='S', interval=1, backupCount=2)
log.addHandler(timed)
log.warning('first')
time.sleep(1.2)
log.warning('second')
print(len(glob.glob('timed.*')), open('timed').read())
log.removeHandler(timed)
watched = logging.handlers.WatchedFileHandler('watched')
log.addHandler(watched)
log.error('one')
os.rename('watched', 'moved')
log.error('two')
print(open('moved').read(), open('watched').read())
log.removeHandler(watched)
q = queue.Queue()
listener = logging.handlers.QueueListener(q, logging.StreamHandler(sys.stdout))
listener.start()
log.addHandler(logging.handlers.QueueHandler(q))
log.error('queued')
listener.stop()
log.handlers.clear()
server = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
server.bind('syslog')
s = logging.handlers.SysLogHandler('syslog')
log.addHandler(s)
log.error('to syslog')
print(server.recv(100))
log.handlers.clear()

class Handler(http.server.BaseHTTPRequestHandler):

    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Length', '5')
        self.end_headers()
        self.wfile.write(b'hello')

    def log_message(self, *args):
        pass
httpd = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
threading.Thread(target=httpd.serve_forever, daemon=True).start()
print(urllib.request.urlopen(f'http://127.0.0.1:{httpd.server_port}/').read())
httpd.shutdown()
try:
    urllib.request.urlopen('http://127.0.0.1:1/', timeout=2)
except Exception as error:
    print(error)
print(getpass.getuser(), pwd.getpwuid(0).pw_name, grp.getgrgid(0).gr_name, platform.system(), platform.machine(), os.getlogin() if False else '', resource.getrlimit(resource.RLIMIT_CORE), datetime.datetime(2020, 7, 1, tzinfo=zoneinfo.ZoneInfo('Europe/Berlin')).utcoffset(), locale.setlocale(locale.LC_ALL, 'C.UTF-8'), time.tzname, uuid.uuid4().version, ssl.OPENSSL_VERSION[:7], sys.getfilesystemencoding(), os.cpu_count() > 0, os.getloadavg()[0] >= 0, os.sysconf('SC_PAGE_SIZE'), os.sysconf('SC_NPROCESSORS_ONLN') == os.cpu_count(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss > 1000)
sel = selectors.DefaultSelector()
a, b = socket.socketpair()
sel.register(b, selectors.EVENT_READ)
a.send(b'x')
print(type(sel).__name__, len(sel.select(1)), len(select.select([b], [a], [], 0)[1]))
p = select.poll()
p.register(b)
a.close()
print([e & ~select.POLLOUT for _, e in p.poll(0)])
print(signal.sigtimedwait([signal.SIGUSR1], 0.05), signal.strsignal(9), sorted(signal.Signals)[-1])
suite = unittest.TestSuite([unittest.FunctionTestCase(lambda: None)])
print(unittest.TextTestRunner(stream=io.StringIO()).run(suite))
print(re.sub('\\s+', ' ', os.popen('df -P /tmp | tail -1 | cut -d" " -f1').read()), timeit.timeit('1', number=1) >= 0)
