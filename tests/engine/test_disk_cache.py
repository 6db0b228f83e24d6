"""The disk tier: what it keeps over restarts, and what becomes of damaged files."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nodegraph.engine.cache import Entry
from nodegraph.engine.disk import MAGIC, DiskCache
from nodegraph.engine.executor import Executor
from nodegraph.engine.graph import Graph
from nodegraph.engine.memory import MemoryCache

Build = Callable[..., Graph]
KEY = "ab" * 32


class Word:
    """A value that only `WordSerializer` can write."""

    def __init__(self, text: str) -> None:
        self.text = text


class WordSerializer:
    """Writes words; counts what it reads."""

    def __init__(self, name: str = "word 1") -> None:
        self.name, self.loads = name, 0

    def can(self, value: object) -> bool:
        return isinstance(value, Word)

    def dump(self, value: Word, stream: BinaryIO) -> None:
        stream.write(value.text.encode())

    def load(self, stream: BinaryIO) -> Word:
        self.loads += 1
        return Word(stream.read().decode())


def cache(folder: Path, **options: Any) -> DiskCache:
    return DiskCache(folder, **{"min_cost": 0.0, "serializers": (WordSerializer(),), **options})


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def store(folder: Path, value: object, key: str = KEY) -> Path:
    cache(folder)[key] = Entry({"out": value}, 1.5, {}, "Test")
    return folder / key[:2] / f"{key}.result"


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner)
    ),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(plain)
def test_plain_data_comes_back_as_it_was(tmp_path: Path, value: object) -> None:
    store(tmp_path, value)
    back = cache(tmp_path)[KEY]
    assert back.values == {"out": value}
    assert repr(back.values["out"]) == repr(value)
    assert (back.cost, back.type) == (1.5, "Test")


def test_values_with_a_serializer_may_sit_in_lists_and_dicts(tmp_path: Path) -> None:
    store(tmp_path, {"a": [Word("x"), 1], "b": (Word("y" * 10_000),)})
    value = cache(tmp_path)[KEY].values["out"]
    assert (value["a"][0].text, value["a"][1], value["b"][0].text) == ("x", 1, "y" * 10_000)


def test_what_no_serializer_knows_stays_off_the_disk(tmp_path: Path) -> None:
    store(tmp_path, [1, object()])
    assert files(tmp_path) == []
    assert KEY not in cache(tmp_path)


def test_making_a_cache_touches_nothing_and_a_folder_that_cannot_be_written_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("here is no folder")
    disk = cache(blocked / "cache")
    assert disk.get(KEY) is None
    assert list(disk) == []
    disk[KEY] = Entry({"out": 1})
    disk["cd" * 32] = Entry({"out": 1})
    assert caplog.text.count("cannot be kept") == 1


def test_cheap_results_and_strange_keys_are_not_stored(tmp_path: Path) -> None:
    disk = cache(tmp_path, min_cost=0.5)
    disk[KEY] = Entry({"out": 1}, cost=0.4)
    disk["../../etc"] = Entry({"out": 1}, cost=9.0)
    assert files(tmp_path) == []
    assert disk.get("../../etc", None) is None


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "cut by one": lambda data: data[:-1],
    "a bit": lambda data: data[:60] + bytes([data[60] ^ 1]) + data[61:],
    "a bit at the end": lambda data: data[:-1] + bytes([data[-1] ^ 1]),
    "longer": lambda data: data + b"x",
    "another version": lambda data: data.replace(MAGIC, b"nodegraph result 0\n"),
    "something else": lambda data: b"\x89PNG" * 100,
    "only the start": lambda data: MAGIC,
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_or_foreign_file_is_a_miss_and_goes(tmp_path: Path, how: str) -> None:
    path = store(tmp_path, [Word("x"), 1, "text"])
    path.write_bytes(DAMAGE[how](path.read_bytes()))
    assert cache(tmp_path).get(KEY) is None
    if how != "empty":
        assert files(tmp_path) == []
    assert store(tmp_path, 5) == path
    assert cache(tmp_path)[KEY].values == {"out": 5}


def test_every_cut_and_every_flipped_byte_is_a_miss(tmp_path: Path) -> None:
    path = store(tmp_path, [1, Word("abc")])
    data = path.read_bytes()
    for at in range(len(data)):
        for damaged in (data[:at], data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]):
            path.write_bytes(damaged)
            assert cache(tmp_path).get(KEY) is None
    path.write_bytes(data)
    assert cache(tmp_path)[KEY].values["out"][0] == 1


def test_a_serializer_that_this_process_lacks_is_a_miss_and_the_file_stays(tmp_path: Path) -> None:
    path = store(tmp_path, Word("x"))
    assert cache(tmp_path, serializers=()).get(KEY) is None
    assert cache(tmp_path, serializers=[WordSerializer("word 2")]).get(KEY) is None
    assert path.exists()
    assert cache(tmp_path)[KEY].values["out"].text == "x"


def test_the_budget_is_kept_and_what_was_used_last_stays(tmp_path: Path) -> None:
    disk = cache(tmp_path, budget=20_000)
    keys = [f"{number:064x}" for number in range(12)]
    for age, key in enumerate(keys):
        disk[key] = Entry({"out": "x" * 3000})
        path = tmp_path / key[:2] / f"{key}.result"
        if path.exists():
            os.utime(path, (1000 + age, 1000 + age))
        if age >= 1:
            assert disk.get(keys[0]) is not None  # which makes it the one used last
        assert sum(path.stat().st_size for path in files(tmp_path)) <= 20_000
    assert keys[0] in disk
    assert keys[-1] in disk
    assert keys[1] not in disk
    disk["cd" * 32] = Entry({"out": "x" * 30_000})
    assert "cd" * 32 not in disk
    assert keys[-1] in disk


def test_what_a_crash_left_is_swept_out_in_time(tmp_path: Path) -> None:
    folder = tmp_path / "ab"
    folder.mkdir()
    old, young = folder / "x.result.1.aa.tmp", folder / "y.result.2.bb.tmp"
    old.write_text("half")
    young.write_text("half")
    os.utime(old, (time.time() - 7200,) * 2)
    store(tmp_path, 1)
    assert not old.exists()
    assert young.exists()
    assert list(cache(tmp_path)) == [KEY]


def test_a_restarted_process_reuses_what_another_made(build: Build, calls: list[str], tmp_path: Path) -> None:
    nodes = {"a": {"type": "Number", "params": {"value": 2}}, "b": {"type": "Add", "links": {"a": "a.out"}}}
    Executor(MemoryCache(disk=cache(tmp_path))).run(build(nodes))
    calls.clear()
    result = Executor(MemoryCache(disk=cache(tmp_path))).run(build(nodes))
    assert result.nodes == {"b": {"out": 3}}
    assert calls == []


def test_a_list_of_stored_results_is_stored_by_name(build: Build, calls: list[str], tmp_path: Path) -> None:
    nodes = {"n": {"type": "Numbers"}, "add": {"type": "Add", "links": {"a": "n.out"}}}
    Executor(MemoryCache(disk=cache(tmp_path))).run(build(nodes))
    calls.clear()
    disk = cache(tmp_path)
    executor = Executor(MemoryCache(disk=disk))
    assert executor.run(build(nodes)).nodes == {"add": {"out": [1, 2, 3]}}
    assert calls == []
    item = next(key for key in disk if disk[key].values == {"out": 2})
    del disk[item]
    assert Executor(MemoryCache(disk=disk)).run(build(nodes)).nodes == {"add": {"out": [1, 2, 3]}}
    assert calls == ["add/1"]


WRITER = """
import sys
from pathlib import Path
from nodegraph.engine.cache import Entry
from nodegraph.engine.disk import DiskCache
disk = DiskCache(Path(sys.argv[1]), min_cost=0.0, budget=200_000)
for turn in range(12):
    for number in range(20):
        key = f"{number:064x}"
        found = disk.get(key)
        if found is not None and found.values["out"] != str(number) * 5000:
            sys.exit(f"{key} is wrong")
        disk[key] = Entry({"out": str(number) * 5000})
        if turn % 3 == 2 and key in disk:
            try:
                del disk[key]
            except KeyError:
                pass
"""


def test_processes_share_a_folder(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-c", WRITER, str(tmp_path)]
    writers = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for writer in writers:
        _, told = writer.communicate(timeout=120)
        assert writer.returncode == 0, told
        assert told == ""
    assert not [path for path in files(tmp_path) if path.suffix == ".tmp"]
