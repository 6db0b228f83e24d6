"""Many jobs and many who listen: everybody is told of every job's end, once, in order, however they come and go."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import aiohttp

from tests.server.conftest import Serve, Served

JOBS, LISTENERS, RUN = 1000, 200, 60
"""How many jobs are queued, how many listen to all of them, how many jobs run before the others are cancelled."""
SECONDS = 60.0
FINAL = frozenset({"job.done", "job.failed", "job.cancelled"})
NODES = {
    "number": {"type": "PrimitiveInt", "params": {"value": 0}},
    "list": {"type": "Collect", "links": {"a": "number.out"}},
}
WORKFLOW = {"format": 1, "nodes": NODES, "inputs": {"value": "number.value"}, "outputs": {"list": "list.out"}}


@lru_cache(maxsize=64)
def parsed(frame: str) -> Any:
    """Parse a frame once: all get the same bytes."""
    return json.loads(frame)


@dataclass
class Listener:
    """Somebody who hears of all jobs; who `leaves` now and then comes back for what was missed."""

    leaves: bool
    ends: Counter[str] = field(default_factory=Counter)
    place: tuple[str, int] | None = None
    wrong: list[str] = field(default_factory=list)
    times: int = 0

    async def listen(self, served: Served, ready: asyncio.Semaphore) -> None:
        while True:
            since = "" if self.place is None else f"?since={self.place[0]}:{self.place[1]}"
            async with served.session.ws_connect(f"{served.url}/api/v1/events{since}", max_msg_size=2**26) as socket:
                self.times += 1
                ready.release()
                async for message in socket:
                    self.take(parsed(message.data))
                    if self.leaves and self.times < 4 and sum(self.ends.values()) > 15 * self.times:
                        break
                else:
                    self.wrong.append(f"cut with {socket.close_code}")
                    return

    def take(self, told: dict[str, Any]) -> None:
        if told["type"] == "hello" and self.place is not None and not told["replayed"]:
            self.wrong.append("what was missed is not there any more")
        if told["type"] in ("hello", "snapshot"):  # what comes next comes after this
            self.place = (told["epoch"], told["seq"])
        for event in told.get("events", ()):
            assert self.place is not None
            if event["seq"] != self.place[1] + 1:
                self.wrong.append(f"{event['seq']} after {self.place[1]}")
            self.place = (self.place[0], event["seq"])
            if event["type"] in FINAL:
                self.ends[event["job"]] += 1


async def test_each_of_many_listeners_is_told_of_the_end_of_each_of_many_jobs(serve: Serve) -> None:
    served = await serve(plugins=False)
    await served.json("POST", "/api/v1/queue/pause", json={})
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers=served.session.headers, connector=connector) as session:
        many = Served(served.server, session)
        listeners = [Listener(leaves=number % 10 == 0) for number in range(LISTENERS)]
        ready = asyncio.Semaphore(0)
        tasks = [asyncio.create_task(listener.listen(many, ready)) for listener in listeners]
        try:
            async with asyncio.timeout(SECONDS):
                for _ in listeners:
                    await ready.acquire()
                jobs = await submit_and_end(many)
                while any(set(listener.ends) != jobs for listener in listeners):
                    assert not [listener.wrong for listener in listeners if listener.wrong]
                    await asyncio.sleep(0.05)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    assert [listener.wrong for listener in listeners] == [[]] * LISTENERS
    assert all(set(listener.ends.values()) == {1} for listener in listeners)
    assert all(listener.times == (4 if listener.leaves else 1) for listener in listeners)


async def submit_and_end(served: Served) -> set[str]:
    """Queue the jobs, as a batch and one by one, let some run and cancel the others; return their ids."""
    over = {"product": {"value": list(range(JOBS - 100))}}
    batch = await served.json("POST", "/api/v1/batches", 201, json={"workflow": WORKFLOW, "over": over})
    errands = ({"workflow": WORKFLOW, "inputs": {"value": value}, "priority": 1} for value in range(JOBS, JOBS + 100))
    alone = await asyncio.gather(*(served.json("POST", "/api/v1/jobs", 201, json=errand) for errand in errands))
    assert (await served.json("GET", "/api/v1/queue"))["queued"] == JOBS
    await served.json("POST", "/api/v1/queue/resume", json={})
    last = sorted(alone, key=lambda job: job["seq"])[RUN]
    await served.json("GET", f"/api/v1/jobs/{last['id']}?wait=60")
    cleared = await served.json("POST", "/api/v1/queue/clear")
    assert 0 < cleared["count"] < JOBS - RUN
    jobs = {job["id"] for job in alone}
    cursor = ""
    while True:
        page = await served.json("GET", f"/api/v1/jobs?batch={batch['id']}&limit=500{cursor}")
        jobs |= {job["id"] for job in page["items"]}
        if not page.get("cursor"):
            break
        cursor = f"&cursor={page['cursor']}"
    assert len(jobs) == JOBS
    return jobs
