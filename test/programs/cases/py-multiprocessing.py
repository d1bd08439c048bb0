# slow: yes
# Python's multiprocessing: fork, spawn and forkserver, queues, pipes, pools, locks, shared memory, managers.
import multiprocessing as mp, os, signal, sys, time
from multiprocessing import shared_memory, managers
import queue

def square(x):
    return x * x

def put(q, n):
    for i in range(n):
        q.put((os.getpid() > 0, i))

def adder(lock, value, array, n):
    for i in range(n):
        with lock:
            value.value += 1
            array[i % len(array)] += 1

def crash():
    os.kill(os.getpid(), signal.SIGSEGV)

def boom():
    raise ValueError('in the child')

def pong(conn):
    while (item := conn.recv()) is not None:
        conn.send(item[::-1])

def meet(barrier, q):
    q.put(barrier.wait() >= 0)

def wait_event(event, q):
    q.put(event.wait(10))

def touch(name):
    block = shared_memory.SharedMemory(name)
    block.buf[:5] = b'hello'
    block.close()

def bad(x):
    return 1 // x

def with_state():
    return state

def init(v):
    global state
    state = v

def consumer(q, results):
    while (item := q.get()) is not None:
        results.put(item * 2)
        q.task_done()
    q.task_done()

def main():
    for method in ('fork', 'spawn', 'forkserver'):
        ctx = mp.get_context(method)
        with ctx.Pool(3, init, (method,)) as pool:
            print(method, pool.map(square, range(10)), pool.apply(with_state), sum(pool.imap_unordered(square, range(100), chunksize=7)))
            try:
                pool.apply(bad, (0,))
            except ZeroDivisionError as error:
                print('raised', error)
            try:
                pool.apply_async(time.sleep, (5,)).get(0.2)
            except mp.TimeoutError:
                print('timeout')
        q = ctx.Queue()
        children = [ctx.Process(target=put, args=(q, 50)) for _ in range(2)]
        for c in children:
            c.start()
        print(sum((q.get()[1] for _ in range(100))))
        for c in children:
            c.join()
            print(c.exitcode)
        lock, value, array = (ctx.Lock(), ctx.Value('i', 0), ctx.Array('i', 4))
        children = [ctx.Process(target=adder, args=(lock, value, array, 200)) for _ in range(3)]
        for c in children:
            c.start()
        for c in children:
            c.join()
        print(value.value, list(array))
        a, b = ctx.Pipe()
        p = ctx.Process(target=pong, args=(b,))
        p.start()
        b.close()
        a.send('abc')
        print(a.recv())
        a.send([1, 2] * 100000)
        print(len(a.recv()), a.poll(0.05))
        a.send(None)
        p.join()
        try:
            a.recv()
        except EOFError:
            print('EOF')
        c = ctx.Process(target=crash)
        c.start()
        c.join()
        print('crash', c.exitcode)
        barrier, q = (ctx.Barrier(3), ctx.Queue())
        cs = [ctx.Process(target=meet, args=(barrier, q)) for _ in range(3)]
        [c.start() for c in cs]
        print([q.get() for _ in cs])
        [c.join() for c in cs]
        e = ctx.Event()
        c = ctx.Process(target=wait_event, args=(e, q))
        c.start()
        time.sleep(0.1)
        e.set()
        print(q.get())
        c.join()
        block = shared_memory.SharedMemory(create=True, size=100000)
        c = ctx.Process(target=touch, args=(block.name,))
        c.start()
        c.join()
        print(bytes(block.buf[:6]), os.path.exists('/dev/shm/' + block.name))
        block.close()
        block.unlink()
        c = ctx.Process(target=time.sleep, args=(100,))
        c.start()
        print(c.is_alive())
        c.terminate()
        c.join()
        print(c.exitcode)
        c = ctx.Process(target=time.sleep, args=(100,), daemon=True)
        c.start()
        c.kill()
        c.join(1)
        print(c.exitcode)
        jq, rq = (ctx.JoinableQueue(), ctx.Queue())
        c = ctx.Process(target=consumer, args=(jq, rq))
        c.start()
        [jq.put(i) for i in range(20)]
        jq.put(None)
        jq.join()
        print(sum((rq.get() for _ in range(20))))
        c.join()
    with mp.Manager() as m:
        d, l, n = (m.dict(), m.list([1]), m.Namespace())
        n.x = 5
        d['k'] = l
        l.append(2)
        print(dict(d)['k'][:], n.x, m.Queue().empty(), m.Lock().acquire())
        with m.Pool(2) as pool:
            print(pool.map(len, ['a', 'bb']))
    s = mp.Semaphore(2)
    print(s.acquire(), s.acquire(), s.acquire(timeout=0.05), s.get_value())
    s.release()
    rl = mp.RLock()
    rl.acquire()
    print(rl.acquire())
    cond = mp.Condition()
    with cond:
        print(cond.wait(0.05))
    from multiprocessing.connection import Listener, Client, wait
    with Listener(('localhost', 0), authkey=b'key') as listener:
        c = mp.Process(target=lambda: Client(listener.address, authkey=b'key').send('authenticated'))
        c.start()
        conn = listener.accept()
        print(conn.recv())
        c.join()
        print(len(wait([c.sentinel], 1)))
    sm = managers.SharedMemoryManager()
    sm.start()
    sl = sm.ShareableList([1, 'two', 3.0])
    print(list(sl))
    sm.shutdown()
    try:
        mp.Queue().get(timeout=0.1)
    except queue.Empty:
        print('empty')
    sys.stdout.flush()
    c = mp.Process(target=boom)
    sys.stderr = open(os.devnull, 'w')
    c.start()
    c.join()
    print(c.exitcode)
    print(len(mp.active_children()), mp.cpu_count() > 0, mp.parent_process())
if __name__ == '__main__':
    main()
