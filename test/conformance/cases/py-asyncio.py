# asyncio over epoll: tasks, timeouts, queues, subprocesses, sockets of a pair, signals, threads; selectors.
import asyncio
import os
import selectors
import signal
import socket


async def number(n):
    await asyncio.sleep(0.001 * (10 - n))
    return n * n


async def subprocesses():
    child = await asyncio.create_subprocess_exec('cat', stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE)
    print((await child.communicate(b'through cat'))[0], child.returncode)
    child = await asyncio.create_subprocess_shell('echo out; exit 4', stdout=asyncio.subprocess.PIPE)
    print(await child.stdout.read(), await child.wait())


async def main():
    print(await asyncio.gather(*(number(n) for n in range(10))))
    try:
        await asyncio.wait_for(asyncio.sleep(10), 0.02)
    except asyncio.TimeoutError:
        print('timeout')
    queue = asyncio.Queue(2)

    async def produce():
        for n in range(5):
            await queue.put(n)
        await queue.put(None)

    producer, got = asyncio.create_task(produce()), []
    while (item := await queue.get()) is not None:
        got.append(item)
    await producer
    print(got)
    await subprocesses()
    left, right = socket.socketpair()
    reader, _ = await asyncio.open_connection(sock=left)
    _, writer = await asyncio.open_connection(sock=right)
    writer.write(b'line one\nline two\n')
    print(await reader.readline(), await reader.readline())
    writer.close()
    print(await reader.read())
    loop = asyncio.get_running_loop()
    print(await loop.run_in_executor(None, sum, range(1000)))
    caught = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, caught.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.wait_for(caught.wait(), 5)
    print('signal')
    server = await asyncio.start_unix_server(lambda r, w: (w.write(b'served'), w.close()), 'server.sock')
    reader, writer = await asyncio.open_unix_connection('server.sock')
    print(await reader.read())
    writer.close()
    server.close()
    task = asyncio.create_task(asyncio.sleep(10))
    await asyncio.sleep(0)
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        print('cancelled')


asyncio.run(main())
selector = selectors.DefaultSelector()
left, right = socket.socketpair()
selector.register(left, selectors.EVENT_READ, 'left')
print(selector.select(0.01))
right.send(b'x')
print([(key.data, events) for key, events in selector.select(1)])
print(type(selector).__name__)
