"""What every call on a read-only directory answers: argv[1] is the directory, which holds `file`, `dir` and `link`."""
import errno
import os
import sys

os.chdir(sys.argv[1])


def attempt(name, call):
    try:
        call()
        print(name, "ok")
    except OSError as error:
        print(name, errno.errorcode[error.errno])


attempt("read", lambda: os.close(os.open("file", os.O_RDONLY)))
for flags in ("O_WRONLY", "O_RDWR", "O_TRUNC"):
    attempt("open " + flags, lambda: os.open("file", getattr(os, flags)))
attempt("create", lambda: os.open("new", os.O_CREAT | os.O_WRONLY))
attempt("create for reading", lambda: os.open("new", os.O_CREAT))
attempt("create existing", lambda: os.close(os.open("file", os.O_CREAT)))
attempt("create exclusively", lambda: os.open("file", os.O_CREAT | os.O_EXCL))
attempt("write a directory", lambda: os.open("dir", os.O_WRONLY))
attempt("tmpfile", lambda: os.open(".", os.O_TMPFILE | os.O_WRONLY))
for name in ("new", "dir", "file"):
    attempt("mkdir " + name, lambda: os.mkdir(name))
    attempt("unlink " + name, lambda: os.unlink(name))
    attempt("rmdir " + name, lambda: os.rmdir(name))
    attempt("symlink " + name, lambda: os.symlink("x", name))
    attempt("rename " + name, lambda: os.rename(name, "other"))
    attempt("rename to " + name, lambda: os.rename("file", name))
attempt("rename away", lambda: os.rename("file", "/tmp/away"))
attempt("link", lambda: os.link("file", "hard"))
attempt("mkfifo", lambda: os.mkfifo("fifo"))
attempt("chmod", lambda: os.chmod("file", 0o600))
attempt("chown", lambda: os.chown("file", os.getuid(), os.getgid()))
attempt("utime", lambda: os.utime("file"))
attempt("truncate", lambda: os.truncate("file", 0))
attempt("setxattr", lambda: os.setxattr("file", "user.x", b"1"))
attempt("chmod through a link", lambda: os.chmod("link", 0o600))
for mode in ("R_OK", "W_OK"):
    print("access", mode, os.access("file", getattr(os, mode)), os.access("dir", getattr(os, mode)))
print("ST_RDONLY", os.statvfs("file").f_flag & os.ST_RDONLY)
print(open("file").read(), os.readlink("link"), sorted(os.listdir(".")))
