"""Outputs appear whole or not at all, once, under a name of their own, inside their folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from nodegraph.server.placing import Names, place_of
from nodegraph.server.publishing import Publisher, PublishError, Staged
from nodegraph.server.records import Job, State, Submission
from nodegraph.server.settings import Settings
from nodegraph.server.store.store import Store

WRITER = Path(__file__).with_name("publishing_writer.py")
WORKFLOW = Submission(document=b'{"format":1,"nodes":{}}')


class Desk:
    """A publisher and a job that runs."""

    def __init__(self, settings: Settings, store: Store, job: Job) -> None:
        self.settings, self.store, self.job = settings, store, job
        self.publisher = Publisher(settings, store)
        self.output = settings.data / "output"

    async def publish(self, *contents: bytes, name: str = "pic_{:05}_.png", node: str = "save") -> None:
        """Run an attempt whose node writes these files."""
        folders = await self.publisher.prepare(self.job)
        files = []
        for index, content in enumerate(contents):
            path = folders["output"] / name.format(index + 1)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            files.append(Staged(node=node, ordinal=index, file=path.relative_to(folders["output"]).as_posix()))
        await self.publisher.publish(self.job, node, files)
        await self.publisher.sweep(self.job.id)

    def files(self) -> dict[str, bytes]:
        paths = [path for path in self.output.rglob("*") if path.is_file()]
        return {path.relative_to(self.output).as_posix(): path.read_bytes() for path in paths}

    async def rows(self) -> dict[str, int]:
        page = await self.store.outputs(job=self.job.id, limit=100)
        return {output.name: output.ordinal for output in page.items}


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    settings = Settings(data=tmp_path / "data")
    store = await Store.open(settings.data)
    (job,) = await store.add("owner", [WORKFLOW])
    yield Desk(settings, store, job)
    await store.close()


async def test_a_second_attempt_replaces_its_own_files_under_the_same_names(desk: Desk) -> None:
    await desk.publish(b"one", b"two")
    await desk.publish(b"ONE", b"TWO")
    assert desk.files() == {"pic_00001_.png": b"ONE", "pic_00002_.png": b"TWO"}
    assert await desk.rows() == {"pic_00001_.png": 0, "pic_00002_.png": 1}


async def test_what_a_second_attempt_does_not_write_goes(desk: Desk) -> None:
    await desk.publish(b"one", b"two", b"three")
    await desk.publish(b"ONE")
    assert desk.files() == {"pic_00001_.png": b"ONE"}
    assert await desk.rows() == {"pic_00001_.png": 0}


async def test_files_of_others_are_never_overwritten(desk: Desk) -> None:
    desk.output.mkdir()
    (desk.output / "pic_00007_.png").write_bytes(b"mine")
    await desk.publish(b"one")
    (desk.output / "pic_00009_.png").write_bytes(b"mine too")
    await desk.publish(b"one", b"two")
    assert desk.files() == {
        "pic_00007_.png": b"mine",
        "pic_00008_.png": b"one",
        "pic_00009_.png": b"mine too",
        "pic_00010_.png": b"two",
    }


async def test_a_name_without_a_number_gets_one_only_where_it_is_taken(desk: Desk) -> None:
    await desk.publish(b"a", name="notes.txt", node="one")
    await desk.publish(b"b", name="notes.txt", node="two")
    assert desk.files() == {"notes.txt": b"a", "notes_00001_.txt": b"b"}


async def test_a_link_out_of_the_output_folder_is_not_followed(desk: Desk, tmp_path: Path) -> None:
    desk.output.mkdir()
    (tmp_path / "outside").mkdir()
    (desk.output / "out").symlink_to(tmp_path / "outside")
    with pytest.raises(PublishError) as caught:
        await desk.publish(b"one", name="out/pic_{:05}_.png")
    assert caught.value.code == "invalid_output"
    assert list((tmp_path / "outside").iterdir()) == []


async def test_a_staged_link_is_no_file(desk: Desk, tmp_path: Path) -> None:
    folders = await desk.publisher.prepare(desk.job)
    (tmp_path / "secret").write_bytes(b"secret")
    (folders["output"] / "pic.png").symlink_to(tmp_path / "secret")
    with pytest.raises(PublishError):
        await desk.publisher.publish(desk.job, "save", [Staged(node="save", ordinal=0, file="pic.png")])
    assert desk.files() == {}


@pytest.fixture
def other_disk(tmp_path: Path) -> Iterator[Path]:
    """Return an empty folder on another file system than the data, skip the test where there is none."""
    shared = Path("/dev/shm")
    if not shared.is_dir() or shared.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is one file system only")
    folder = shared / f"nodegraph-{os.getpid()}"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


async def test_a_folder_on_another_file_system_gets_copies(desk: Desk, other_disk: Path) -> None:
    desk.output.symlink_to(other_disk)
    await desk.publish(b"one", b"two")
    await desk.publish(b"ONE", b"TWO")
    assert {path.name: path.read_bytes() for path in other_disk.iterdir()} == {
        "pic_00001_.png": b"ONE",
        "pic_00002_.png": b"TWO",
    }


@pytest.mark.parametrize("name", ["../x.png", "/x.png", "a/../../x.png", "", "a\\..\\x.png", "a\x00b.png"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="no name of a file"):
        place_of(tmp_path, name)


def test_numbers_go_on_from_the_highest_there_is_in_any_case_and_format(tmp_path: Path) -> None:
    for name in ("Pic_00004_.png", "pic_00012_.webp", "pic_notes.txt"):
        (tmp_path / name).touch()
    names = Names()
    assert names.next(tmp_path, "pic_00001_.png") == "pic_00013_.png"
    assert names.next(tmp_path, "pic_00001_.png") == "pic_00014_.png"
    assert names.next(tmp_path, "new_00005_.png") == "new_00001_.png"


@pytest.mark.slow
@pytest.mark.parametrize(("attempts", "elsewhere"), [(1, False), (2, False), (1, True)])
async def test_a_death_at_any_point_leaves_each_file_whole_and_once(
    tmp_path: Path, other_disk: Path, attempts: int, elsewhere: bool
) -> None:
    """After one death the next start runs the job again; after two it has failed, with what came to its place."""
    store = await Store.open(tmp_path / "data")
    (job,) = await store.add("owner", [WORKFLOW])
    await store.close()
    if elsewhere:
        (tmp_path / "elsewhere").symlink_to(other_disk)
    command = [sys.executable, str(WRITER), str(tmp_path), job.id, str(attempts)]
    told = json.loads(subprocess.run(command, check=True, timeout=120, stdout=subprocess.PIPE).stdout)
    assert len(told) >= 8
    for number, codes in enumerate(told, 1):
        assert (codes[0], codes[-1]) == (-signal.SIGKILL, 0)
        await check(tmp_path / str(number), job.id, again=attempts == 1 or codes[1] == 0)


async def check(data: Path, job: str, again: bool) -> None:
    """See that what a job has published is whole and told of once, and all of it where the job ran `again`."""
    store = await Store.open(data)
    found = await store.job(job)
    rows = {output.name: output for output in (await store.outputs(limit=100)).items}
    unsettled = await store.unsettled()
    await store.close()
    files = {path.name: path.read_bytes() for path in (data / "output" / "a").glob("*")}
    assert found is not None
    assert unsettled == []
    assert not (data / "staging" / job).exists() or found.state is State.RUNNING
    assert {f"a/{name}" for name in files} == set(rows)
    contents = sorted(files.values())
    if again:
        assert contents == [b"%d" % index * 1000 for index in range(2)]
    else:
        assert found.state is State.FAILED
        assert set(contents) <= {b"%d" % index * 1000 for index in range(2)}
    assert len(contents) == len(set(contents))
