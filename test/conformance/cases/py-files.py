# os, tempfile, shutil, pathlib, glob: trees made, walked, copied and removed; text and binary files; errors.
import glob
import os
import pathlib
import shutil
import stat
import tempfile

root = pathlib.Path('tree')
for name in ('a/b/c', 'a/d', 'e'):
    (root / name).mkdir(parents=True)
for number, name in enumerate(('one.txt', 'a/two.txt', 'a/b/three.bin', 'a/b/c/four.txt', 'e/five.txt')):
    (root / name).write_text('line\n' * number)
(root / 'link').symlink_to('a/two.txt')
(root / 'loop').symlink_to('.')
for path, dirs, files in os.walk(root):
    dirs.sort()
    print(path, dirs, sorted(files))
print(sorted(glob.glob('tree/**/*.txt', recursive=True)))
print(sorted(str(path) for path in root.rglob('*.bin')))
shutil.copytree(root, 'copy', symlinks=True)
print(os.readlink('copy/link'), os.path.getsize('copy/a/b/c/four.txt'))
shutil.rmtree('copy')
print(os.path.exists('copy'))
print(sorted((entry.name, entry.is_dir(), entry.is_symlink(), entry.is_file()) for entry in os.scandir(root)))
shutil.move('tree/e', 'moved')
print(os.listdir('moved'))
print(shutil.make_archive('archive', 'gztar', 'tree', 'a') .endswith('archive.tar.gz'))
shutil.unpack_archive('archive.tar.gz', 'unpacked')
print(sorted(os.path.relpath(os.path.join(p, f), 'unpacked') for p, _, fs in os.walk('unpacked') for f in fs))

with tempfile.TemporaryDirectory(dir='.') as temporary:
    with tempfile.NamedTemporaryFile('w+', dir=temporary, delete=False) as file:
        file.write('temporary')
        file.seek(0)
        print(file.read(), stat.filemode(os.stat(file.name).st_mode))
print(os.path.exists(temporary))
with tempfile.TemporaryFile() as file:
    file.write(b'nameless')
    file.seek(4)
    print(file.read())
with tempfile.SpooledTemporaryFile(max_size=10) as file:
    file.write(b'more than ten bytes')
    file.seek(0)
    print(file.read())

with open('text', 'w', encoding='utf-8') as file:
    print(file.write('zwölf Boxkämpfer\nüber den Sylter Deich\n'), file.tell())
with open('text', encoding='utf-8') as file:
    print([line.rstrip() for line in file])
with open('text', 'r+b') as file:
    file.seek(-6, os.SEEK_END)
    file.write(b'TEICH')
    file.truncate()
    file.seek(0)
    print(file.read())
with open('text', 'a') as file:
    print(file.tell() > 0)
for action in (lambda: open('missing'), lambda: os.mkdir('tree'), lambda: os.rmdir('tree'), lambda: os.listdir('text'),
               lambda: open('tree'), lambda: os.remove('tree'), lambda: os.readlink('text'), lambda: os.chdir('text'),
               lambda: open('tree/loop/' * 50),
               lambda: os.rename('tree', 'tree/a/x'), lambda: os.symlink('x', 'text'), lambda: open('x' * 300)):
    try:
        action()
    except OSError as error:
        print(type(error).__name__, error.errno, error.strerror)
os.chmod('text', 0o640)
os.utime('text', ns=(10 ** 18, 10 ** 18 + 1))
status = os.stat('text')
print(oct(status.st_mode), status.st_atime_ns, status.st_mtime_ns, status.st_nlink)
os.link('text', 'hard')
print(os.stat('text').st_nlink, os.path.samefile('text', 'hard'))
os.truncate('text', 3)
print(pathlib.Path('hard').read_bytes())
print(pathlib.Path('tree/loop/loop/one.txt').resolve().relative_to(pathlib.Path.cwd()))
os.makedirs('x/y/z', exist_ok=True)
os.removedirs('x/y/z')
print(os.path.exists('x'), os.access('text', os.W_OK), os.path.realpath('moved/../text').endswith('/text'))
fd = os.open('text', os.O_RDWR)
print(os.pwrite(fd, b'pwrite', 10), os.pread(fd, 20, 0), os.lseek(fd, 0, os.SEEK_END), os.fstat(fd).st_size)
print(shutil.disk_usage('.').total > 0, os.statvfs('.').f_bsize)
print(os.get_terminal_size.__name__, os.isatty(fd), os.umask(0o22) == 0o22)
