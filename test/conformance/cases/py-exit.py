# sys.exit with a number, output buffered until then, recursion and memory errors that can be caught, deep structures.
import sys

try:
    (lambda f: f(f))(lambda f: f(f))
except RecursionError as error:
    print(error)
try:
    bytearray(1 << 46)
except MemoryError as error:
    print('MemoryError', error)
big = [0] * 5_000_000
big[::1000] = range(5000)
print(sum(big), len(big))
text = 'x' * 10_000_000
print(len(text + text))
nested = []
for _ in range(100_000):
    nested = [nested]
del nested
print(sum(i * i for i in range(200_000)), len(str(7 ** 5000)), sorted(range(100_000), key=lambda n: n * 7919 % 100_003)[:5])
sys.exit(3)
