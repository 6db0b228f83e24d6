"""How much SQLite has to do: no list walks through all there is to find a few rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from nodegraph.server.records import Job, Output, State, Submission
from nodegraph.server.store import adding, changes, outputs, queries
from nodegraph.server.store.kinds import Page
from nodegraph.server.store.opening import open_file
from nodegraph.server.store.sqlite import Connection

Submit = Callable[..., Submission]
MANY = 6000


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    opened = open_file(tmp_path / "nodegraph.db")
    yield opened.connection
    opened.connection.close()


def output_of(job: str, ordinal: int) -> Output:
    return Output(id="", seq=0, job=job, user="owner", node="n", ordinal=ordinal, name="a.png")


def work(connection: Connection, asked: Callable[[], object]) -> int:
    """Return how many hundreds of its instructions SQLite runs for a question."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    connection.set_progress_handler(count, 100)
    asked()
    connection.set_progress_handler(None, 0)
    return counted


@pytest.fixture
def few(connection: Connection, submit: Submit) -> Job:
    """Return a running job of a small batch, with an output, older than many other jobs and outputs."""
    connection.execute("BEGIN")
    _, (first, *_) = adding.add_batch(connection, "owner", "few", [submit(), submit()], None)
    changes.claim(connection, first.id, "cpu")
    late = adding.add(connection, "owner", [submit() for _ in range(MANY)])
    for job, ordinal in ((first, 0), *((late[0], ordinal) for ordinal in range(MANY))):
        row = outputs.reserve(connection, output_of(job.id, ordinal))
        outputs.settle(connection, row.id, f"{row.id}.png", 1, None, None, None)
    connection.execute("COMMIT")
    return first


@pytest.mark.parametrize("user", ["owner", None])
def test_lists_of_few_among_many_are_little_work(connection: Connection, few: Job, user: str | None) -> None:
    def jobs(states: Sequence[State] = (), batch: str | None = None, text: str = "") -> Page[Job]:
        return queries.jobs(connection, user, states, batch, text, None, 10)

    def written(job: str | None) -> Page[Output]:
        return outputs.outputs(connection, user, job, None, None, None, None, 10, False)

    lists: dict[str, Callable[[], object]] = {
        "outputs of the job": lambda: written(few.id),
        "newest outputs": lambda: written(None),
        "batch": lambda: jobs(batch=few.batch),
        "running": lambda: jobs([State.RUNNING]),
        "queued": lambda: jobs([State.QUEUED]),
        "newest": jobs,
    }
    found = {name: work(connection, asked) for name, asked in lists.items()}
    assert all(steps < 30 for steps in found.values()), found
    assert [job.id for job in jobs([State.RUNNING]).items] == [few.id]
    assert len(written(few.id).items) == 1
    assert work(connection, lambda: jobs(text="no such word")) > 300  # the measure does show a walk
