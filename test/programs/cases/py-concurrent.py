# Python's concurrent.futures, threading, queue, asyncio with executors, signals with threads, contextvars.
import asyncio, concurrent.futures as cf, contextvars, faulthandler, os, queue, random, signal, sys, threading, time, _thread

def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)

def fail():
    raise KeyError('future')

def die():
    os._exit(3)

def main():
    for kind in (cf.ThreadPoolExecutor, cf.ProcessPoolExecutor):
        with kind(4) as pool:
            print(list(pool.map(fib, range(15))), pool.submit(pow, 2, 100).result())
            f = pool.submit(fail)
            try:
                f.result()
            except KeyError as error:
                print(error, f.exception())
            fs = [pool.submit(fib, n) for n in (12, 3, 10)]
            print(sorted((f.result() for f in cf.as_completed(fs))))
            done, pending = cf.wait([pool.submit(time.sleep, 0.5), pool.submit(fib, 5)], return_when=cf.FIRST_COMPLETED)
            print(len(done), len(pending))
            try:
                pool.submit(time.sleep, 1).result(timeout=0.05)
            except cf.TimeoutError:
                print('timeout')
    pool = cf.ProcessPoolExecutor(1)
    try:
        pool.submit(die).result()
    except cf.process.BrokenProcessPool:
        print('broken')
    lock, total, threads = (threading.Lock(), [0], [])

    def add():
        for _ in range(2000):
            with lock:
                total[0] += 1
    for _ in range(20):
        threads.append(threading.Thread(target=add))
        threads[-1].start()
    for t in threads:
        t.join()
    print(total, threading.active_count())
    q = queue.Queue(10)
    out = []

    def work():
        while (x := q.get()) is not None:
            out.append(x * x)
    ws = [threading.Thread(target=work) for _ in range(5)]
    [w.start() for w in ws]
    [q.put(i) for i in range(500)]
    [q.put(None) for _ in ws]
    [w.join() for w in ws]
    print(sum(out))
    cond, ready = (threading.Condition(), [])

    def waiter(i):
        with cond:
            cond.wait_for(lambda: len(ready) > i, 5)
            ready.append(i)
    ts = [threading.Thread(target=waiter, args=(i,)) for i in range(5)]
    [t.start() for t in ts]
    with cond:
        ready.append('go')
        cond.notify_all()
    for _ in range(50):
        with cond:
            cond.notify_all()
        time.sleep(0.01)
    [t.join() for t in ts]
    print(ready)
    b = threading.Barrier(4)
    order = []
    ts = [threading.Thread(target=lambda: (b.wait(), order.append(1))) for _ in range(4)]
    [t.start() for t in ts]
    [t.join() for t in ts]
    print(order)
    timer = threading.Timer(0.05, lambda: print('timer'))
    timer.start()
    timer.join()
    e = threading.Event()
    print(e.wait(0.05))
    s = threading.BoundedSemaphore(2)
    s.acquire()
    s.release()
    try:
        s.release()
    except ValueError as error:
        print(error)
    local = threading.local()
    local.x = 1
    t = threading.Thread(target=lambda: print(hasattr(local, 'x')))
    t.start()
    t.join()
    got = []
    signal.signal(signal.SIGUSR1, lambda *a: got.append(threading.current_thread() is threading.main_thread()))
    t = threading.Thread(target=lambda: (os.kill(os.getpid(), signal.SIGUSR1), time.sleep(0.05)))
    t.start()
    t.join()
    print(got)
    signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
    print(len(got))
    signal.signal(signal.SIGALRM, lambda *a: (_ for _ in ()).throw(TimeoutError('alarm')))
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        threading.Event().wait()
    except TimeoutError as error:
        print(error)
    try:
        _thread.interrupt_main()
        time.sleep(1)
    except KeyboardInterrupt:
        print('interrupted')
    busy, stop = ([0, 0], threading.Event())

    def spin(i):
        while not stop.is_set():
            busy[i] += 1
    ts = [threading.Thread(target=spin, args=(i,)) for i in (0, 1)]
    [t.start() for t in ts]
    time.sleep(0.5)
    stop.set()
    [t.join() for t in ts]
    print(min(busy) > 100, min(busy) / max(busy) > 0.05)
    go = threading.Event()
    many = [threading.Thread(target=go.wait) for _ in range(200)]
    [t.start() for t in many]
    print(threading.active_count())
    go.set()
    [t.join() for t in many]

    async def gather():
        loop = asyncio.get_running_loop()
        print(await asyncio.gather(*(loop.run_in_executor(None, fib, n) for n in range(10))))
        print(await asyncio.to_thread(fib, 12))
        q = asyncio.Queue()
        [q.put_nowait(i) for i in range(3)]
        print([await q.get() for _ in range(3)])
        loop.add_signal_handler(signal.SIGUSR2, lambda: print('handler'))
        os.kill(os.getpid(), signal.SIGUSR2)
        await asyncio.sleep(0.05)
        r, w = os.pipe()
        loop.add_reader(r, lambda: (print(os.read(r, 9)), loop.remove_reader(r)))
        os.write(w, b'reader')
        await asyncio.sleep(0.05)
        server = await asyncio.start_server(lambda r, w: echo(r, w), '127.0.0.1', 0)
        port = server.sockets[0].getsockname()[1]

        async def client(i):
            r, w = await asyncio.open_connection('127.0.0.1', port)
            w.write(b'%d\n' % i)
            line = await r.readline()
            w.close()
            return int(line)
        print(sum(await asyncio.gather(*(client(i) for i in range(30)))))
        server.close()

    async def echo(r, w):
        w.write(await r.readline())
        await w.drain()
        w.close()
    asyncio.run(gather())
    pid = os.fork()
    if pid == 0:
        t = threading.Thread(target=lambda: None)
        t.start()
        t.join()
        os._exit(5)
    print(os.waitpid(pid, 0)[1] >> 8, sys.getswitchinterval(), time.thread_time() > 0, threading.get_native_id() == os.getpid())
if __name__ == '__main__':
    main()
