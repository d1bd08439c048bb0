# multiprocessing: fork and spawn, pools, queues, pipes, shared values and arrays, locks, managers, shared memory.
import multiprocessing
import os
from multiprocessing import shared_memory


def square(n):
    return n * n


def put(queue, n):
    queue.put((n, os.getppid() == PARENT))


def increment(value, lock):
    for _ in range(200):
        with lock:
            value.value += 1


PARENT = os.getpid()
if __name__ == '__main__':
    with multiprocessing.Pool(3) as pool:
        print(pool.map(square, range(20)))
        print(pool.apply_async(square, (9,)).get(10))
    queue = multiprocessing.Queue()
    children = [multiprocessing.Process(target=put, args=(queue, n)) for n in range(4)]
    [child.start() for child in children]
    print(sorted(queue.get() for _ in children))
    [child.join() for child in children]
    print([child.exitcode for child in children])
    value, lock = multiprocessing.Value('i', 0, lock=False), multiprocessing.Lock()
    children = [multiprocessing.Process(target=increment, args=(value, lock)) for _ in range(3)]
    [child.start() for child in children]
    [child.join() for child in children]
    print(value.value)
    parent_end, child_end = multiprocessing.Pipe()
    child = multiprocessing.Process(target=lambda: child_end.send({'from': 'child', 'got': child_end.recv()}))
    child.start()
    parent_end.send([1, 2, 3])
    print(parent_end.recv())
    child.join()
    memory = shared_memory.SharedMemory(create=True, size=1000)
    child = multiprocessing.Process(target=lambda: memory.buf.__setitem__(slice(0, 6), b'shared'))
    child.start()
    child.join()
    print(bytes(memory.buf[:6]))
    memory.close()
    memory.unlink()
    child = multiprocessing.get_context('spawn').Process(target=square, args=(3,))
    child.start()
    child.join()
    print(child.exitcode)
    child = multiprocessing.Process(target=os._exit, args=(17,))
    child.start()
    child.join()
    print(child.exitcode)
    array = multiprocessing.Array('d', [1.5] * 4)
    child = multiprocessing.Process(target=lambda: array.__setitem__(2, 9.5))
    child.start()
    child.join()
    print(list(array), multiprocessing.active_children())
