"""What holds of a data folder whatever happened to the servers on it, once its jobs have ended."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tests.faults.harness import FINAL, Json, node, until, workflow


@dataclass(frozen=True)
class Wanted:
    """A job that was accepted: how many pictures it writes, and the states in which it may end."""

    count: int
    states: frozenset[str] = frozenset({"done"})


def pictures(key: str, count: int, seconds: float = 0.0) -> dict[str, Json]:
    """Return a job that works, then writes as many pictures; each tells the job's key and its own number."""
    nodes = {
        "work": node("Work", seconds=seconds, value=len(key)),
        "save": node("Save", {"color": "work.out"}, text=key, count=count, filename_prefix="set/pic"),
    }
    return {**workflow(nodes, ["save"], number="work.out"), "key": key}


def check(data: Path, wanted: Mapping[str, Wanted]) -> Counter[str]:
    """Assert all that must hold; return how many jobs ended in which state."""
    database = f"file:{data / 'nodegraph.db'}?mode=ro"
    with contextlib.closing(sqlite3.connect(database, uri=True)) as connection:
        connection.row_factory = sqlite3.Row
        assert [row[0] for row in connection.execute("PRAGMA integrity_check")] == ["ok"]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        jobs = connection.execute("SELECT id, key, state, failure, attempts FROM jobs ORDER BY seq").fetchall()
        outputs = connection.execute("SELECT * FROM outputs ORDER BY seq").fetchall()
    states = _check_jobs(jobs, outputs, wanted)
    _check_outputs(data, {job["id"]: job["key"] for job in jobs}, outputs)
    until(lambda: left_in(data / "staging") == [], 5, "nothing is left in the staging folder")
    return states


def left_in(folder: Path) -> list[str]:
    """Return the files below a folder, by their names below it."""
    found = [Path(at) / name for at, _, names in os.walk(folder) for name in names]  # what vanishes meanwhile is gone
    return sorted(path.relative_to(folder).as_posix() for path in found)


def _check_jobs(jobs: list[sqlite3.Row], outputs: list[sqlite3.Row], wanted: Mapping[str, Wanted]) -> Counter[str]:
    """Each job that was accepted is there, once, in one final state, with all its outputs where it is done."""
    assert Counter(job["key"] for job in jobs) == Counter(wanted.keys())
    for job in jobs:
        want = wanted[job["key"]]
        told = {name: job[name] for name in ("key", "state", "failure", "attempts")}
        assert job["state"] in FINAL, told
        assert job["state"] in want.states, told
        numbers = sorted(output["ordinal"] for output in outputs if output["job"] == job["id"])
        if job["state"] == "done":
            assert numbers == list(range(want.count)), (told, numbers)
        assert job["attempts"] <= 2, told
    return Counter(job["state"] for job in jobs)


def _check_outputs(data: Path, keys: Mapping[str, str], outputs: list[sqlite3.Row]) -> None:
    """Each output is one whole file with its own contents, and no other file lies in the folder."""
    rows = {output["name"]: output for output in outputs}
    assert len(rows) == len(outputs), "two outputs have one name"
    assert len({(row["job"], row["node"], row["ordinal"]) for row in outputs}) == len(outputs)
    assert [name for name, row in rows.items() if not row["there"]] == []
    assert left_in(data / "output") == sorted(rows)
    for name, row in rows.items():
        path = data / "output" / name
        assert path.stat().st_size == row["size"]
        with Image.open(path) as picture:
            picture.verify()
        with Image.open(path) as picture:
            picture.load()
            assert picture.info["faults"] == f"{keys[row['job']]}#{row['ordinal']}"
