"""One server through memory that is short, packages that go, nodes that change their inputs, clients that vanish."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from tests.faults.harness import Json, Server, Servers, Start, node, sleep, until, workflow
from tests.faults.models import states
from tests.faults.soaking import MEBI, Process

CACHE = 2 * MEBI


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    servers = Servers(tmp_path_factory.mktemp("lives"))
    yield servers.start("--memory", str(CACHE), "--disk", str(CACHE))
    servers.end()


@pytest.mark.skipif(sys.platform != "linux", reason="limits of other processes are set on Linux")
def test_a_job_without_enough_memory_tells_so_and_holds_none_afterwards(server: Server) -> None:
    """Row 7: the worker may take 600 MiB more; the job asks for all there is, in pieces, twice."""
    server.ended(server.submit(sleep(0.01)))
    (worker,) = server.workers()
    before = Process.of(worker).resident
    size = int(Path(f"/proc/{worker}/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.prlimit(worker, resource.RLIMIT_AS, (size + 600 * MEBI, resource.RLIM_INFINITY))
    job = server.ended(server.submit(workflow({"hoard": node("Hoard")}, ["hoard"])))
    assert (job["state"], job["failure"]["code"], job["failure"]["node"]) == ("failed", "out_of_memory", "hoard")
    for words in ("there was not enough memory", "RAM are free", "emptied the cache of results", "ran it again"):
        assert words in job["failure"]["message"]
    assert server.ended(server.submit(sleep(0.01)))["state"] == "done"
    assert server.workers() == [worker]
    assert max(at["memory"]["cpu"] for at in job["node_states"]) > before + 300 * MEBI
    assert Process.of(worker).resident < before + 60 * MEBI, "what the node had taken is free again"
    resource.prlimit(worker, resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def test_a_job_whose_package_went_while_it_was_queued_says_which_it_was(start: Start) -> None:
    """Row 20: what hangs, raises or clashes at import is tested with the host and the engine."""
    server = start()
    server.ask("POST", "/queue/pause", {})
    nodes = {"add": node("Add", a=1), "own": {"type": "PrimitiveInt", "params": {"value": 1}}}
    lacking = server.submit(workflow(nodes, ["add"]))
    sound = server.submit(workflow({"own": nodes["own"]}, ["own"], out="own.out"))
    assert server.stop() == 0
    again = start("--no-plugins")
    again.ask("POST", "/queue/resume", {})
    job = again.ended(lacking)
    assert (job["state"], job["failure"]["code"], job["failure"]["node"]) == ("failed", "invalid", "add")
    assert "'faults.Add'" in job["failure"]["message"]
    assert "the package nodegraph-faults" in job["failure"]["message"]
    assert again.ended(sound)["values"] == {"out": 1}


def test_a_node_that_changes_its_input_spoils_no_later_job(server: Server) -> None:
    """Row 21: that such a node is found by name is tested with the engine."""
    nodes = {
        "list": {"type": "faults.Numbers", "params": {"count": 3}},
        "mutate": node("Mutate", {"items": "list.out"}),
    }
    given = [server.ended(server.submit(workflow(nodes, ["mutate"], out="mutate.out")))["values"] for _ in range(3)]
    assert given == [{"out": [0, 1, 2, 3]}] * 3


def kept(results: Path) -> int:
    """Return the bytes of the results on disk, of which any may go meanwhile."""
    total = 0
    for path in results.rglob("*.result"):
        with contextlib.suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def test_results_kept_on_disk_stay_within_their_limit(server: Server) -> None:
    """Row 23: that the limit in memory holds is tested with the cache."""
    length, results = 200_000, server.data / "results"
    (worker,) = server.workers()
    before = Process.of(worker).resident
    for number in range(40):
        nodes = {"long": {"type": "faults.Long", "params": {"length": length, "seed": number}}}
        server.submit(workflow(nodes, ["long"]))
    while server.ask("GET", "/queue")["running"]:
        assert kept(results) <= CACHE + 2 * length
    assert 0 < kept(results) <= CACHE
    assert Process.of(worker).resident < before + 4 * CACHE
    last = server.ended(server.submit(workflow({"long": nodes["long"]}, ["long"])))
    assert states(last) == {"long": "cached"}


async def test_a_client_that_stalls_or_vanishes_holds_up_nothing_and_learns_of_the_end(server: Server) -> None:
    """Row 19: bounds and cuts are tested with the streams; here the whole server, under a job that shows a lot."""
    stalled = _raw(server)
    async with aiohttp.ClientSession(headers=server.headers) as session:
        async with session.ws_connect(f"{server.url}/api/v1/events?previews=true") as socket_:
            hello = await socket_.receive_json()
            show = workflow({"show": node("Preview", count=300, seconds=2)}, ["show"])
            id = await asyncio.to_thread(server.submit, show)
            while (await socket_.receive()).type is not aiohttp.WSMsgType.BINARY:
                pass
            transport = socket_.get_extra_info("socket")
            linger = (1).to_bytes(4, sys.byteorder) + (0).to_bytes(4, sys.byteorder)
            transport.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)  # it ends with a reset
        _raw(server).close()
        job = await asyncio.to_thread(server.ended, id)
        assert job["state"] == "done"
        assert job["seconds"] < 6
        since = f"{hello['epoch']}:{hello['seq']}"
        async with session.ws_connect(f"{server.url}/api/v1/events?since={since}") as socket_:
            assert (await socket_.receive_json())["replayed"]
            told = [event["type"] async for event in _events(socket_, id)]
    assert told.count("job.done") == 1
    stalled.close()
    until(lambda: Process.of(server.pid).files < 60, 10, "the sockets are closed")


async def _events(stream: aiohttp.ClientWebSocketResponse, id: str) -> AsyncIterator[dict[str, Json]]:
    """Give what is told of a job until its end."""
    async with asyncio.timeout(10):
        while True:
            for event in json.loads(await stream.receive_str()).get("events", ()):
                if event.get("job") == id:
                    yield event
                    if event["type"] == "job.done":
                        return


def _raw(server: Server) -> socket.socket:
    """Open a stream whose client never reads."""
    host, _, port = server.url.rpartition("/")[2].partition(":")
    client = socket.create_connection((host, int(port)))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    lines = ["GET /api/v1/events?previews=true HTTP/1.1", f"Host: {host}:{port}", "Upgrade: websocket"]
    lines += ["Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]
    lines += [f"Authorization: {server.headers['Authorization']}", "", ""]
    client.sendall("\r\n".join(lines).encode())
    return client


def test_a_device_that_is_not_there_is_told_with_those_that_are(start: Start) -> None:
    """Row 27: jobs wait, and the reason stands with the device; the rest is tested with the worker."""
    server = start("--devices", "cuda:7,cpu", CUDA_VISIBLE_DEVICES="")
    job = server.ended(server.submit(sleep(0.01)))
    assert (job["state"], job["device"]) == ("done", "cpu")

    def reason() -> str:
        (gpu,) = (device for device in server.ask("GET", "/queue")["devices"] if device["id"] == "cuda:7")
        return str(gpu.get("reason", ""))

    words = until(reason, 40, "the worker tells why it cannot begin")
    assert "the device 'cuda:7' cannot be used on this machine: there is cpu" in words
