# Python's mmap, shutil, tempfile, zipfile, tarfile, os, pathlib, glob, fileinput, locks, pickles, sendfile.
import array, bz2, ctypes, errno, fcntl, filecmp, glob, gzip, hashlib, io, lzma, mmap, os, pathlib, pickle, shelve, shutil, stat, struct, sys, tarfile, tempfile, time, zipfile, dbm.dumb, configparser, csv, json
with open('mapped', 'wb') as f:
    f.truncate(3 * mmap.PAGESIZE)
with open('mapped', 'r+b') as f, mmap.mmap(f.fileno(), 0) as m:
    m[10:15] = b'hello'
    m.flush()
    print(os.pread(f.fileno(), 5, 10))
    os.pwrite(f.fileno(), b'HELLO', 5000)
    print(m[5000:5005], m.find(b'HELLO'), m.size())
    m.resize(5 * mmap.PAGESIZE)
    print(len(m))
    m.move(0, 5000, 5)
    print(m[:5])
    m.madvise(mmap.MADV_DONTNEED)
    print(m[:5])
    m.seek(0, 2)
    print(m.tell())
    with mmap.mmap(f.fileno(), 4096, access=mmap.ACCESS_COPY, offset=4096) as private:
        private[:3] = b'abc'
        print(private[:3], m[4096:4099])
    with mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ) as ro:
        try:
            ro[0] = 1
        except TypeError as error:
            print(error)
shared = mmap.mmap(-1, 8192)
if (pid := os.fork()) == 0:
    shared[:5] = b'child'
    os._exit(0)
os.waitpid(pid, 0)
print(shared[:5])
try:
    mmap.mmap(os.open('/etc/passwd', os.O_RDONLY), 0)
except PermissionError as error:
    print(error)
tree = pathlib.Path('tree')
(tree / 'a' / 'b').mkdir(parents=True)
for i in range(30):
    (tree / 'a' / f'{i}.txt').write_text(f'file {i}\n' * i)
(tree / 'link').symlink_to('a')
os.link(tree / 'a' / '3.txt', tree / 'hard')
os.chmod(tree / 'a' / '5.txt', 481)
os.utime(tree / 'a' / '5.txt', ns=(10 ** 18, 10 ** 18 + 5))
shutil.copytree(tree, 'copy', symlinks=True)
c = filecmp.dircmp('tree', 'copy')
print(c.left_only, c.diff_files, oct(os.stat('copy/a/5.txt').st_mode), os.stat('copy/a/5.txt').st_mtime_ns, os.readlink('copy/link'), os.stat('tree/hard').st_nlink)
for kind in ('zip', 'tar', 'gztar', 'bztar', 'xztar'):
    name = shutil.make_archive(f'arch-{kind}', kind, 'tree')
    shutil.unpack_archive(name, f'un-{kind}')
    print(kind, os.path.basename(name), len(list(pathlib.Path(f'un-{kind}').rglob('*'))))
shutil.move('copy', 'moved')
shutil.rmtree('moved')
print(os.path.exists('moved'), shutil.which('sh'), shutil.disk_usage('/tmp').total > 0)
shutil.copy2('mapped', 'm2')
shutil.copyfile('m2', 'm3')
print(filecmp.cmp('mapped', 'm3', False))
try:
    shutil.rmtree('nothere')
except FileNotFoundError as error:
    print(error)
try:
    os.rmdir('tree')
except OSError as error:
    print(errno.errorcode[error.errno])
with tempfile.TemporaryDirectory() as d, tempfile.NamedTemporaryFile(dir=d) as n, tempfile.TemporaryFile() as t, tempfile.SpooledTemporaryFile(10) as s:
    n.write(b'x')
    n.flush()
    print(os.path.getsize(n.name), oct(os.stat(d).st_mode), os.fstat(t.fileno()).st_nlink, oct(os.stat(n.name).st_mode))
    s.write(b'y' * 20)
    s.seek(0)
    print(len(s.read()))
with zipfile.ZipFile('z.zip', 'w', zipfile.ZIP_DEFLATED) as z:
    z.writestr('big', b'z' * 10 ** 6)
    z.write('tree/a/9.txt')
    z.mkdir('dir')
with zipfile.ZipFile('z.zip', 'a') as z:
    z.writestr('more', 'text')
    print([(i.filename, i.file_size, i.compress_size) for i in z.infolist()], z.testzip(), z.open('more').read())
for opener in (gzip.open, bz2.open, lzma.open):
    with opener('packed', 'wt') as f:
        f.writelines((f'{i}\n' for i in range(10000)))
    with opener('packed', 'rt') as f:
        print(sum(map(int, f)), os.path.getsize('packed') > 100)
with open('locked', 'w') as f, open('locked', 'w') as g:
    fcntl.flock(f, fcntl.LOCK_EX)
    try:
        fcntl.flock(g, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print('locked')
    fcntl.flock(f, fcntl.LOCK_UN)
    fcntl.flock(g, fcntl.LOCK_SH | fcntl.LOCK_NB)
    fcntl.lockf(f, fcntl.LOCK_EX, 10)
    if (pid := os.fork()) == 0:
        try:
            fcntl.lockf(g, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)
            os._exit(1)
        except OSError:
            os._exit(2)
    print(os.waitpid(pid, 0)[1] >> 8)
fd = os.open('sparse', os.O_RDWR | os.O_CREAT)
os.pwrite(fd, b'end', 10 ** 7)
print(os.stat('sparse').st_blocks < 100, os.lseek(fd, 0, os.SEEK_DATA) > 9 * 10 ** 6, os.lseek(fd, 0, os.SEEK_HOLE))
os.posix_fallocate(fd, 0, 8192)
print(os.stat('sparse').st_blocks >= 16)
out = os.open('out', os.O_RDWR | os.O_CREAT)
src = os.open('mapped', os.O_RDONLY)
print(os.sendfile(out, src, 0, 6000), os.copy_file_range(src, out, 100, 0, 0), os.pwritev(out, [b'ab', b'cd'], 0), os.preadv(out, [(b1 := bytearray(1)), (b2 := bytearray(3))], 0), b1, b2)
print(sorted(glob.glob('tree/**/1*.txt', recursive=True))[:3], sum((len(files) for _, _, files in os.walk('tree'))), sorted((e.name for e in os.scandir('tree') if e.is_symlink())), [p.suffix for p in sorted(tree.glob('a/2*'))][:1], tree.resolve().is_relative_to('/tmp'))
dfd = os.open('tree', os.O_RDONLY | os.O_DIRECTORY)
print(os.stat('hard', dir_fd=dfd).st_size, os.access('a', os.W_OK, dir_fd=dfd), sorted(os.listdir(dfd)))
os.mkdir('new', dir_fd=dfd)
os.rename('new', 'renamed', src_dir_fd=dfd, dst_dir_fd=dfd)
os.rmdir('renamed', dir_fd=dfd)
os.fchdir(dfd)
print(os.path.basename(os.getcwd()))
os.chdir('..')
for name, mode in (('tree', 'r'), ('nothere', 'r'), ('tree/hard/x', 'r'), ('x' * 300, 'w'), ('hard', 'x'), ('/proc/version', 'w'), ('loop', 'r')):
    if name == 'loop':
        os.symlink('loop', 'loop')
    try:
        open(name, mode).close()
        print('opened')
    except OSError as error:
        print(type(error).__name__, errno.errorcode[error.errno])
memfd = os.memfd_create('mem', os.MFD_ALLOW_SEALING)
os.write(memfd, b'sealed')
fcntl.fcntl(memfd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_WRITE)
try:
    os.write(memfd, b'x')
except PermissionError as error:
    print(error)
print(os.readlink(f'/proc/self/fd/{memfd}'), fcntl.fcntl(memfd, fcntl.F_GET_SEALS))
os.setxattr('out', 'user.tag', b'value') if sys.argv[1:] else None
old = os.umask(23)
os.close(os.open('masked', os.O_CREAT | os.O_WRONLY, 438))
print(oct(os.stat('masked').st_mode))
os.umask(old)
os.mkfifo('fifo')
print(stat.filemode(os.stat('fifo').st_mode), os.statvfs('/tmp').f_bsize, os.pathconf('.', 'PC_NAME_MAX'), os.path.sameopenfile(fd, fd))
s = os.stat('tree/hard')
print(s.st_size, s.st_nlink, s.st_uid, stat.S_ISREG(s.st_mode), os.path.getmtime('tree/a/5.txt'), os.path.islink('tree/link'), os.path.realpath('tree/link').endswith('tree/a'))
with open('big', 'wb') as f:
    for i in range(200):
        f.write(os.urandom(1000) * 100)
digest = hashlib.sha256()
f = open('big', 'rb', buffering=0)
digest.update(f.read())
f.seek(0)
print(hashlib.file_digest(f, 'sha256').hexdigest() == digest.hexdigest(), os.path.getsize('big'))
os.truncate('big', 100)
print(os.path.getsize('big'))
libc = ctypes.CDLL(None, use_errno=True)
print(libc.getpid() == os.getpid(), libc.open(b'/nothere', 0), ctypes.get_errno())
ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 7)() == 7 and print('callback')
db = shelve.open('shelf')
db['k'] = [1, 2]
db.close()
print(dict(shelve.open('shelf')))
