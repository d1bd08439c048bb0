# The standard library's C parts: decimal, json, sqlite3, zlib, hashlib, struct, ctypes, random with a seed, datetime, re, pickle.
import bz2
import collections
import csv
import ctypes
import datetime
import decimal
import fractions
import hashlib
import hmac
import io
import itertools
import json
import locale
import lzma
import math
import pickle
import random
import re
import sqlite3
import statistics
import struct
import textwrap
import unicodedata
import uuid
import zipfile
import zlib
import zoneinfo

decimal.getcontext().prec = 50
print(decimal.Decimal(2).sqrt(), decimal.Decimal(1) / 7)
print(json.dumps({'b': [1, 2.5, None, True], 'a': 'ü\n'}, sort_keys=True), json.loads('{"x": 1e3}'))
data = b'compressible ' * 10000
print(len(zlib.compress(data, 6)), zlib.crc32(data), zlib.decompress(zlib.compress(data)) == data)
print(bz2.decompress(bz2.compress(data)) == data, lzma.decompress(lzma.compress(data)) == data)
for name in ('md5', 'sha1', 'sha256', 'sha3_256', 'blake2b'):
    print(name, hashlib.new(name, data).hexdigest()[:16])
print(hmac.new(b'key', b'message', 'sha256').hexdigest()[:16], hashlib.pbkdf2_hmac('sha256', b'p', b's', 1000).hex()[:16])
print(struct.pack('<IhdQ', 1, -2, 3.5, 2 ** 63), struct.unpack('>f', b'\x40\x49\x0f\xdb'))
random.seed(42)
print(random.random(), random.sample(range(100), 5), random.gauss(0, 1))
print(math.fsum([0.1] * 10), math.sin(1), math.gamma(5.5), math.comb(50, 25), 3 ** 200 % 1000007, fractions.Fraction(1, 3) + 1)
print(statistics.stdev([1, 2, 3, 4.5]), sum(itertools.accumulate(range(100))))
print(datetime.datetime(2024, 2, 29, tzinfo=zoneinfo.ZoneInfo('America/New_York')).astimezone(datetime.timezone.utc).isoformat())
print(datetime.date.fromisoformat('2023-12-25').strftime('%A %d %B %Y week %V'))
print(re.sub(r'(\w+) (\w+)', r'\2 \1', 'hello world'), re.findall(r'\b\w{5}\b', 'three words match there'))
print(unicodedata.name('ß'), 'ÄÖÜß'.casefold(), 'straße'.upper(), 'é'.encode('utf-16-le'))
print(uuid.uuid5(uuid.NAMESPACE_DNS, 'example.org'), locale.getpreferredencoding())
connection = sqlite3.connect('test.db')
connection.execute('create table numbers (n integer primary key, text text)')
with connection:
    connection.executemany('insert into numbers values (?, ?)', ((n, str(n) * 3) for n in range(1000)))
print(connection.execute('select count(*), sum(n), max(text) from numbers where n % 7 = 0').fetchone())
connection.execute('create index by_text on numbers (text)')
try:
    with connection:
        connection.execute('delete from numbers')
        connection.execute('insert into numbers values (1, 2), (1, 3)')
except sqlite3.IntegrityError as error:
    print(error)
print(connection.execute('select count(*) from numbers').fetchone())
connection.execute('pragma journal_mode = wal')
with connection:
    connection.execute('update numbers set text = upper(text)')
connection.close()
print(sqlite3.connect('test.db').execute('select text from numbers where n = 77').fetchone())
print(pickle.loads(pickle.dumps({'a': (1, {2}), 'b': collections.OrderedDict(x=1)})))
buffer = io.StringIO()
csv.writer(buffer).writerows([[1, 'two, three', 'qu"ote'], [4, '', None]])
print(repr(buffer.getvalue()), list(csv.reader(['a,"b,c",d'])))
with zipfile.ZipFile('z.zip', 'w', zipfile.ZIP_DEFLATED) as archive:
    archive.writestr('inner.txt', 'text' * 100)
print(zipfile.ZipFile('z.zip').read('inner.txt')[:8], zipfile.ZipFile('z.zip').testzip())
libc = ctypes.CDLL('libc.so.6')
print(libc.abs(-5), libc.strlen(b'four'), ctypes.sizeof(ctypes.c_long))
compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))(lambda a, b: a[0] - b[0])
array = (ctypes.c_int * 5)(5, 1, 4, 2, 3)
libc.qsort(array, 5, 4, compare)
print(list(array), textwrap.shorten('a long sentence to shorten', 15))
