# How Python programs end: a traceback on stderr and code 1 after everything printed, atexit and finally blocks run first.
import atexit
import sys

atexit.register(lambda: print('at exit', flush=True))
print('before')
sys.stdout.write('no newline')
sys.stdout.flush()
try:
    raise KeyError('caught')
except KeyError as error:
    print(repr(error))
finally:
    print('finally')


def broken(depth):
    if depth == 0:
        raise ValueError('the end')
    broken(depth - 1)


sys.excepthook = lambda kind, value, trace: sys.stderr.write(f'{kind.__name__}: {value}\n')
broken(3)
