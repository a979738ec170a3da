#!/usr/bin/env python3
"""A proxy that is as far away as one says:

    delay.py MS PORT:TARGET...

What comes to 127.0.0.1:PORT goes on to 127.0.0.1:TARGET, each piece MS/2 after it came, and so do answers. The
first piece of a connection waits for MS more: a distant server has to answer before anything is sent to it. Pieces keep
their order, and many are on their way at a time, so that the delay takes nothing of the bandwidth.
"""
import asyncio
import sys

PIECE = 1 << 18
AHEAD = 256  # pieces on their way


async def carry(reader, writer, delay, first):
    """One direction, to its end."""
    loop = asyncio.get_running_loop()
    pieces = asyncio.Queue(AHEAD)

    async def send():
        while True:
            due, data = await pieces.get()
            wait = due - loop.time()
            if wait > 0:
                await asyncio.sleep(wait)
            if not data:
                break
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()

    sending = asyncio.create_task(send())
    try:
        late = first
        while not sending.done():
            data = await reader.read(PIECE)
            await pieces.put((loop.time() + delay + late, data))
            late = 0.0
            if not data:
                break
        await sending
    except (ConnectionError, OSError):
        sending.cancel()


def serve(delay, target):
    async def one(reader, writer):
        try:
            to_reader, to_writer = await asyncio.open_connection("127.0.0.1", target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(carry(reader, to_writer, delay, 2 * delay), carry(to_reader, writer, delay, 0.0))
        for w in (writer, to_writer):
            w.close()

    return one


async def main():
    delay = float(sys.argv[1]) / 2000
    servers = []
    for pair in sys.argv[2:]:
        port, target = pair.split(":")
        servers.append(await asyncio.start_server(serve(delay, int(target)), "127.0.0.1", int(port), backlog=512))
    await asyncio.gather(*(s.serve_forever() for s in servers))


if len(sys.argv) < 3:
    sys.exit(__doc__)
try:
    asyncio.run(main())
except KeyboardInterrupt:
    pass
