"""Measures what events cost the server: `python tests/benchmarks/events.py [--clients 200] [--seconds 5] [--rate 100]`.

A hub with its streams runs in this process, the clients in another. Events come in waves as from running jobs; told are
processor time of the server for each event that reached a client, how late events are, and the same with some clients
that never read. Exits with 1 where a figure is over its limit.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import socket
import statistics
import sys
import time
from multiprocessing.connection import Connection
from typing import Any

import aiohttp
from aiohttp import web

from nodegraph.server.hub import Hub
from nodegraph.server.security.principal import Principal
from nodegraph.server.settings import Limits
from nodegraph.server.streams import Pace, server_sent, websocket

MICROSECONDS, LATE = 30.0, 0.5
"""The most that a delivered event may cost, and the most seconds that 99 of 100 may be late."""
SUMMARY = {"id": "0123456789abcdef" * 2, "state": "running", "name": "a picture of a red circle " * 20, "created": 1.0}


async def main(clients: int, seconds: float, rate: float) -> int:
    """Print the table; fail where a figure is over its limit."""
    print(f"{'':<34}{'events':>8}{'µs each':>9}{'frames/s':>10}{'p50 ms':>8}{'p99 ms':>8}{'of a core':>11}{'cut':>6}")
    over = 0
    for name, stalled in (("every client reads", 0), ("some never read", 10)):
        over += await measure(name, clients, stalled, seconds, rate)
    return 1 if over else 0


async def measure(name: str, clients: int, stalled: int, seconds: float, rate: float) -> int:
    """Measure one case and print its line."""
    hub = Hub(Limits(sockets=clients + stalled, sockets_each=clients + stalled))
    runner, port = await serve(hub)
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=follow, args=(port, clients, there))
    process.start()
    deaf = [stall(port) for _ in range(stalled)]
    while hub.streams < clients + stalled:
        await asyncio.sleep(0.05)
    before, wall = time.process_time(), time.perf_counter()
    published = await publish(hub, seconds, rate)
    await asyncio.sleep(0.5)
    used, took = time.process_time() - before, time.perf_counter() - wall
    hub.publish("job.done", {"last": True}, user="ann", job="last")
    while not here.poll():
        await asyncio.sleep(0.05)
    got, frames, late = here.recv()
    process.join()
    for connection in deaf:
        connection.close()
    await runner.cleanup()
    each = used / max(got, 1) * 1e6
    p50, p99 = statistics.median(late), sorted(late)[int(0.99 * len(late))]
    print(
        f"{f'{name} ({clients} + {stalled})':<34}{published:>8}{each:>9.1f}{frames / took:>10.0f}"
        f"{p50 * 1e3:>8.0f}{p99 * 1e3:>8.0f}{used / took:>11.0%}{hub.cuts:>6}"
    )
    return bool(each > MICROSECONDS or p99 > LATE or got != clients * (published + 1))


async def serve(hub: Hub) -> tuple[web.AppRunner, int]:
    """Serve streams of everything to whoever asks."""

    async def snapshot(user: str, everything: bool) -> dict[str, Any]:
        return {"jobs": []}

    async def handle(request: web.Request) -> web.StreamResponse:
        stream = hub.subscribe(Principal("ann"))
        try:
            kind = websocket if "Upgrade" in request.headers else server_sent
            return await kind(request, hub, stream, snapshot, Pace(stall=2.0))
        finally:
            stream.close()

    app = web.Application()
    app.router.add_get("/events", handle)
    runner = web.AppRunner(app, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    return runner, int(runner.addresses[0][1])


async def publish(hub: Hub, seconds: float, rate: float) -> int:
    """Publish events as jobs do; return how many."""
    count, began = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - began) < seconds:
        while count < elapsed * rate:
            hub.publish("job.changed", {**SUMMARY, "sent": time.time()}, user="ann", job=str(count))
            count += 1
        await asyncio.sleep(0.005)
    return count


def stall(port: int) -> socket.socket:
    """Open a websocket that is never read from."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", port))
    key = "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg=="
    head = ["GET /events HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade", key]
    connection.sendall("\r\n".join([*head, "Sec-WebSocket-Version: 13", "", ""]).encode())
    return connection


def follow(port: int, clients: int, told: Connection) -> None:
    """Be all the clients, and tell what they got."""

    async def one(session: aiohttp.ClientSession) -> tuple[int, int, list[float]]:
        got, frames = 0, 0
        late: list[float] = []
        async with session.ws_connect(f"http://127.0.0.1:{port}/events", compress=0) as ws:
            async for message in ws:
                now, text = time.time(), message.data
                frames, got = frames + 1, got + text.count('"type":"job.')  # parsing would measure the clients
                if '"last":true' in text:
                    return got, frames, late
                if '"sent":' in text:
                    late.append(now - float(text.partition('"sent":')[2].partition("}")[0]))
        raise RuntimeError("the server closed a stream that was read")

    async def every() -> tuple[int, int, list[float]]:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
            found = await asyncio.gather(*(one(session) for _ in range(clients)))
        return sum(f[0] for f in found), sum(f[1] for f in found), [x for f in found for x in f[2]]

    told.send(asyncio.run(every()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rate", type=float, default=100.0, help="events a second")
    arguments = parser.parse_args()
    sys.exit(asyncio.run(main(arguments.clients, arguments.seconds, arguments.rate)))
