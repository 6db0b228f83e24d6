"""The client against real servers: work, refusals, connections that break, servers that are restarted."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from PIL import Image as Pillow

from nodegraph.client import Client
from nodegraph.remote import ClientError, Job, Output, Update
from nodegraph.server.records import State
from nodegraph.server.serve import running
from tests.server.conftest import Serve, Shared, settings_of

SUM = {"format": 1, "nodes": {"add": {"type": "faults.Add", "params": {"a": 1}}}, "outputs": {"sum": "add.out"}}
PICTURES = {"format": 1, "nodes": {"save": {"type": "faults.Save", "params": {"text": "x", "count": 2}}}}
GATE = {
    "format": 1,
    "nodes": {"add": {"type": "faults.Add"}, "gate": {"type": "Gate", "links": {"value": "add.out"}}},
    "inputs": {"a": "add.a"},
    "outputs": {"choice": "gate.choice"},
}
GATE["nodes"]["add"]["params"] = {"a": 1}  # type: ignore[index]


def sleep(seconds: float) -> dict[str, Any]:
    nodes = {"sleep": {"type": "faults.Sleep", "params": {"seconds": seconds, "steps": 50}}}
    return {"format": 1, "nodes": nodes, "outputs": {"seconds": "sleep.out"}}


@pytest.fixture
async def ours(shared: Shared) -> AsyncIterator[Client]:
    async with Client(shared.url, shared.token) as client:
        yield client


async def test_a_workflow_is_run_followed_and_what_it_made_is_fetched(ours: Client, tmp_path: Path) -> None:
    updates: list[Update] = []
    before = await ours.submit(sleep(60))
    while (await ours.job(before.id)).state is State.QUEUED:
        await asyncio.sleep(0.01)
    job = await ours.submit(PICTURES, name="two", priority=3, client="test")
    assert (job.state, job.name, job.priority, job.client) == (State.QUEUED, "two", 3, "test")
    waiting = asyncio.create_task(ours.wait(job.id, on_update=updates.append))
    while not updates:  # it shall not run before it is followed
        await asyncio.sleep(0.01)
    await ours.cancel(before.id)
    job = await waiting
    assert job.state is State.DONE
    assert [node.state for node in job.node_states] == ["finished"]
    assert {"hello", "node.finished", "output.added"} <= {update.type for update in updates}
    files = [await ours.download(output, tmp_path / "got") for output in job.outputs]
    assert len({file.name for file in files}) == 2
    for file, output in zip(files, job.outputs, strict=True):
        with Pillow.open(file) as picture:
            assert picture.size == (output.width, output.height)
    assert not list((tmp_path / "got").glob(".*"))


async def test_inputs_are_set_by_name_and_plain_values_come_back(ours: Client) -> None:
    job = await ours.submit({**SUM, "inputs": {"a": "add.a"}}, inputs={"a": 2**60})
    assert (await ours.wait(job.id)).values == {"sum": 2**60 + 1}


async def test_an_invalid_workflow_is_refused_with_every_problem(ours: Client) -> None:
    broken = {"format": 1, "nodes": {"a": {"type": "faults.Ad"}, "b": {"type": "faults.Add", "params": {"a": "x"}}}}
    with pytest.raises(ClientError, match=r"did you mean 'faults\.Add'") as refusal:
        await ours.submit(broken)
    assert refusal.value.status == 422
    assert {problem.node for problem in refusal.value.problems} == {"a", "b"}
    told = await ours.check(broken)
    assert (told["ok"], len(told["problems"])) == (False, 2)
    assert (await ours.check(SUM))["ok"]


async def test_a_key_makes_two_submissions_one(ours: Client) -> None:
    first, second = [await ours.submit(SUM, key="same") for _ in range(2)]
    assert first.id == second.id


async def test_a_question_is_answered(ours: Client) -> None:
    job = await ours.submit(GATE)
    waiting = await ours.wait(job.id, until={State.WAITING})
    assert [(asked.node, asked.choices) for asked in waiting.questions] == [("gate", ("go on", "stop"))]
    with pytest.raises(ClientError):
        await ours.answer(job.id, {"gate": "perhaps"})
    await ours.answer(job.id, {"gate": "go on"})
    assert (await ours.wait(job.id)).values == {"choice": "go on"}


async def test_what_a_question_is_about_is_shown(ours: Client, tmp_path: Path) -> None:
    Pillow.new("RGB", (16, 16)).save(tmp_path / "blank.png")
    nodes: dict[str, Any] = {
        "blank": {"type": "LoadImage", "params": {"image": await ours.upload(tmp_path / "blank.png")}},
        "three": {"type": "RepeatImageBatch", "params": {"amount": 3}, "links": {"image": "blank.image"}},
        "choose": {"type": "ChooseImage", "links": {"images": "three.out"}},
        "save": {"type": "SaveImage", "links": {"images": "choose.images"}},
    }
    job = await ours.submit({"format": 1, "nodes": nodes})
    (asked,) = (await ours.wait(job.id, until={State.WAITING})).questions
    shown = {output.id: output for output in (await ours.job(job.id)).outputs}
    assert (asked.choices, len(asked.outputs)) == ((0, 1, 2), 3)
    with Pillow.open(await ours.download(shown[asked.outputs[2]], tmp_path)) as picture:
        assert picture.size == (16, 16)
    await ours.answer(job.id, {"choose": 1})
    ended = await ours.wait(job.id)
    assert [output.node for output in ended.outputs if output.kind == "output"] == ["save"]


async def test_cancel_retry_list_and_delete(ours: Client) -> None:
    job = await ours.submit(sleep(30), name="to be cancelled")
    await ours.cancel(job.id)
    assert (await ours.wait(job.id)).state is State.CANCELLED
    again = await ours.retry(job.id)
    assert again.retry_of == job.id
    await ours.cancel(again.id)
    await ours.wait(again.id)
    found = [one.id async for one in ours.jobs(states=[State.CANCELLED], text="to be cancelled")]
    assert found == [again.id, job.id]
    await ours.delete(job.id)
    with pytest.raises(ClientError) as gone:
        await ours.job(job.id)
    assert gone.value.status == 404


async def test_exported_jobs_are_taken_in_by_another_server(ours: Client, serve: Serve, tmp_path: Path) -> None:
    job = await ours.wait((await ours.submit(SUM, name="exported")).id)
    lines = b"".join([part async for part in ours.export_jobs(states=[State.DONE])])
    other = await serve(tmp_path / "other")
    async with Client.from_data(other.settings.data) as client:
        assert (await client.import_jobs(lines))["history"] == lines.count(b"\n")
        assert (await client.job(job.id)).name == "exported"


async def test_uploads_are_inputs(ours: Client, tmp_path: Path) -> None:
    Pillow.new("RGB", (4, 4)).save(tmp_path / "mine.png")
    name = await ours.upload(tmp_path / "mine.png")
    load = {"format": 1, "nodes": {"load": {"type": "LoadImage", "params": {"image": name}}}}
    assert (await ours.check(load))["ok"]


async def test_who_is_not_known_is_refused_at_once(shared: Shared) -> None:
    async with Client(shared.url, "wrong") as client:
        with pytest.raises(ClientError) as refusal:
            await client.submit(SUM)
        assert refusal.value.status == 401
        async with aclosing(client.follow()) as updates:
            with pytest.raises(ClientError) as refusal:
                await anext(updates)
            assert refusal.value.status == 401


async def test_where_no_server_runs_is_told(tmp_path: Path) -> None:
    with pytest.raises(ClientError, match="'nodegraph serve' starts one"):
        Client.from_data(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with Client(f"http://127.0.0.1:{port}", patience=0.3) as client:
        with pytest.raises(ClientError, match="does not answer"):
            await client.submit(SUM)


@pytest.mark.parametrize(
    ("name", "path"),
    [("a.png", "a.png"), ("sub/a.png", "sub/a.png"), ("../../a.png", "a.png"), ("/etc/x", "etc/x"), ("..", "output")],
)
async def test_a_download_stays_in_its_folder(ours: Client, tmp_path: Path, name: str, path: str) -> None:
    job = await ours.wait((await ours.submit(PICTURES)).id)
    output = Output(id=job.outputs[0].id, job=job.id, node="save", name=name)
    assert await ours.download(output, tmp_path / "in") == tmp_path / "in" / path


def test_what_a_newer_server_tells_beyond_is_left_out() -> None:
    job = Job.of({"id": "a", "state": "done", "colour": "red", "questions": [{"node": "n", "question": "?", "new": 1}]})
    assert (job.id, job.questions[0].question) == ("a", "?")


async def test_the_example_of_the_documentation_works(
    serve: Serve, tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    await serve(tmp_path / "nodegraph")
    page = (root / "nodegraph" / "docs" / "python.md").read_text(encoding="utf-8")
    example = page.split("## On a server")[1].split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {}
    exec(compile(example, "python.md", "exec"), names)
    (file,) = await names["draw"]("a large green star on a blue background", tmp_path / "drawn")
    with Pillow.open(file) as picture:
        assert picture.size == (128, 128)


class Proxy:
    """Stands between client and server, and breaks connections; `lose`: how many answers never arrive."""

    def __init__(self, port: int) -> None:
        self.port, self.lose, self.connections = port, 0, 0
        self._open: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            self.cut()

    def cut(self) -> None:
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        other, answers = await asyncio.open_connection("127.0.0.1", self.port)
        self._open |= {writer, answers}
        forth = asyncio.create_task(self._pass(reader, answers))
        await self._pass(other, writer, back=True)
        forth.cancel()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool = False) -> None:
        with suppress(ConnectionError, asyncio.CancelledError):
            while data := await reader.read(65536):
                if back and self.lose:
                    self.lose -= 1
                    break
                writer.write(data)
                await writer.drain()
        writer.transport.abort()


async def test_a_job_whose_answer_was_lost_is_queued_once(shared: Shared, ours: Client) -> None:
    proxy = Proxy(shared.port)
    proxy.lose = 2
    async with proxy.serving() as url, Client(url, shared.token) as client:
        job = await client.submit(SUM, name="lost and found")
        assert proxy.connections == 3
    assert [one.id async for one in ours.jobs(text="lost and found")] == [job.id]


async def test_a_stream_that_breaks_goes_on_where_it_was(shared: Shared, ours: Client) -> None:
    proxy = Proxy(shared.port)
    through: list[tuple[str, int]] = []
    direct: list[tuple[str, int]] = []
    async with proxy.serving() as url, Client(url, shared.token) as client:
        job = await client.submit(sleep(1.5))

        def heard(update: Update) -> None:
            through.append((update.type, update.seq))
            if len(through) in (3, 5, 8):
                proxy.cut()

        whole = asyncio.create_task(
            ours.wait(job.id, on_update=lambda update: direct.append((update.type, update.seq)))
        )
        assert (await client.wait(job.id, on_update=heard)).state is State.DONE
        await whole
    assert proxy.connections >= 4
    numbers = [seq for kind, seq in through if kind not in ("hello", "snapshot")]
    assert numbers == sorted(set(numbers))
    seen = {seq for kind, seq in direct if kind not in ("hello", "snapshot")}
    assert {seq for seq in seen if numbers[0] <= seq <= numbers[-1]} <= set(numbers)


async def test_waiting_outlives_a_restart_of_the_server(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    settings = settings_of(tmp_path / "data", port=port, token="a-token-of-the-test-0123456789", grace=1.0)
    async with Client(f"http://127.0.0.1:{port}", "a-token-of-the-test-0123456789") as client:
        async with running(settings):
            job = await client.submit(sleep(2.0))
            waiting = asyncio.create_task(client.wait(job.id))
            async with aclosing(client.follow(job.id)) as updates:
                async for update in updates:
                    if update.type == "node.progress":
                        break
        assert not waiting.done()
        async with running(settings):
            assert (await asyncio.wait_for(waiting, 30)).state is State.DONE
