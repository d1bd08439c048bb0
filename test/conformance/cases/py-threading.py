# threading: locks, conditions, events, queues, timers, pools, thread-local data, daemon threads, exceptions in threads.
import concurrent.futures
import queue
import threading
import time

counter = 0
lock = threading.Lock()


def count():
    global counter
    for _ in range(3000):
        with lock:
            counter += 1


threads = [threading.Thread(target=count) for _ in range(10)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(counter)

jobs, results = queue.Queue(5), queue.Queue()


def work():
    while (job := jobs.get()) is not None:
        results.put(job * job)


workers = [threading.Thread(target=work) for _ in range(4)]
for worker in workers:
    worker.start()
for number in range(100):
    jobs.put(number)
for _ in workers:
    jobs.put(None)
for worker in workers:
    worker.join()
print(sum(results.get() for _ in range(100)))

event = threading.Event()
print(event.wait(0.02))
threading.Timer(0.03, event.set).start()
print(event.wait(5))

condition, turn, said = threading.Condition(), 0, []


def speak(me):
    global turn
    for _ in range(5):
        with condition:
            condition.wait_for(lambda: turn % 3 == me)
            said.append(me)
            turn += 1
            condition.notify_all()


threads = [threading.Thread(target=speak, args=(n,)) for n in range(3)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(said)

local = threading.local()
local.value = 'main'
seen = []
thread = threading.Thread(target=lambda: seen.append(hasattr(local, 'value')))
thread.start()
thread.join()
print(seen, local.value)

with concurrent.futures.ThreadPoolExecutor(8) as pool:
    print(list(pool.map(lambda n: n + 1, range(20))))
    futures = [pool.submit(pow, 2, n) for n in range(10)]
    print(sum(future.result() for future in futures))
    try:
        pool.submit(lambda: 1 / 0).result()
    except ZeroDivisionError as error:
        print(error)

semaphore = threading.BoundedSemaphore(2)
print(semaphore.acquire(), semaphore.acquire(), semaphore.acquire(timeout=0.02))
barrier = threading.Barrier(3)
order = []
threads = [threading.Thread(target=lambda: order.append(barrier.wait())) for _ in range(3)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
print(sorted(order))
start = time.monotonic()
sleepers = [threading.Thread(target=time.sleep, args=(0.1,)) for _ in range(20)]
[thread.start() for thread in sleepers]
[thread.join() for thread in sleepers]
print(0.1 <= time.monotonic() - start < 1.5)
print(threading.active_count(), threading.current_thread().name)
threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
