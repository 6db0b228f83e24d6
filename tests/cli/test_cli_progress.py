"""How a run is shown, from its events."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from nodegraph.cli.displays import Lines, Live, steps
from nodegraph.cli.tally import Tally
from nodegraph.cli.text import duration, number, rate, several, size
from nodegraph.engine import events
from nodegraph.engine.context import CancelToken


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_nodes_that_were_not_told_of_yet_count_where_their_number_is_known(clock: Clock) -> None:
    tally = Tally(clock)
    tally.expected = 2
    tally.add(events.Cached("model", "CheckpointLoaderSimple"))
    assert (tally.done, tally.total) == (1, 2)
    for node in ("a", "b"):  # it has expanded
        tally.add(events.Cached(node, "faults.Add"))
    assert (tally.done, tally.total) == (3, 3)


def test_rate_and_time_left_count_from_the_first_progress(clock: Clock) -> None:
    tally = Tally(clock)
    tally.add(events.Running("sample", "KSampler"))
    clock.now += 30  # weights are read
    tally.add(events.Progress("sample", 0, 20))
    assert steps(tally.at_work["sample"], clock.now) == "step 0/20"
    clock.now += 2
    tally.add(events.Progress("sample", 5, 20))
    assert steps(tally.at_work["sample"], clock.now) == "step 5/20, 2.5 it/s, 6.0 s left"


def test_a_second_round_counts_anew(clock: Clock) -> None:
    tally = Tally(clock)
    tally.add(events.Running("sample", "KSampler"))
    for value in (0, 4, 0, 1):
        tally.add(events.Progress("sample", value, 4))
        clock.now += 2
    assert steps(tally.at_work["sample"], clock.now - 2) == "step 1/4, 2.0 s/it, 6.0 s left"


def test_a_warning_is_a_line_and_its_node_goes_on(clock: Clock) -> None:
    plain, screen = io.StringIO(), io.StringIO()
    for display in (Lines(plain, clock), Live(Console(file=screen, width=100), clock=clock)):
        display.show(events.Running("decode", "VAEDecode"))
        display.show(events.Warned("decode", "the picture is nothing but [black]"))
        assert "decode" in display.tally.at_work
        display.show(events.Finished("decode", 0.1))
        assert not display.tally.at_work
    assert plain.getvalue().endswith("decode (VAEDecode): warning: the picture is nothing but [black]\n")
    assert "decode VAEDecode  the picture is nothing but [black]" in screen.getvalue()


def test_bytes_are_told_as_bytes(clock: Clock) -> None:
    tally = Tally(clock)
    tally.add(events.Running("model", "CheckpointLoaderSimple"))
    tally.add(events.Progress("model", 0, 2**30, "bytes"))
    clock.now += 1
    tally.add(events.Progress("model", 2**28, 2**30, "bytes"))
    assert steps(tally.at_work["model"], clock.now) == "256 MiB of 1.0 GiB, 256 MiB/s, 3.0 s left"


def test_the_tally_knows_what_became_of_each_node(clock: Clock) -> None:
    tally = Tally(clock)
    for event in (
        events.Running(None),
        *(events.Queued(name, "T") for name in "abc"),
        events.Cached("d", "T"),
        events.Running("a", "T"),
        events.Finished("a", 1.0),
        events.Running("b", "T"),
        events.Failed("b", "no"),
        events.Skipped("c", "b"),
        events.Failed(None, "1 node failed"),
    ):
        tally.add(event)
    assert (tally.run, tally.reused, tally.failed, tally.skipped) == ({"a"}, {"d"}, {"b": "no"}, {"c": "b"})
    assert (tally.done, len(tally.known), tally.at_work) == (4, 4, {})


def test_lines_are_few_and_tell_what_takes_long(clock: Clock) -> None:
    stream = io.StringIO()
    lines = Lines(stream, clock)
    lines.show(events.Queued("sample", "KSampler"))
    lines.show(events.Running("quick", "Quick"))
    lines.show(events.Finished("quick", 0.0))
    lines.show(events.Running("sample", "KSampler"))
    for step in range(25):
        lines.show(events.Progress("sample", step, 25))
        clock.now += 1
    lines.show(events.Finished("sample", 25.0))
    lines.show(events.Running("odd", "Fail"))
    lines.show(events.Failed("odd", "too odd"))
    assert stream.getvalue().splitlines() == [
        "[10.0 s, node 1/2] sample (KSampler): step 10/25, 1.0 it/s, 15.0 s left",
        "[20.0 s, node 1/2] sample (KSampler): step 20/25, 1.0 it/s, 5.0 s left",
        "[25.0 s, node 2/2] sample (KSampler): done in 25.0 s",
        "[25.0 s, node 3/3] odd (Fail): failed after 0.00 s",
    ]


def test_the_live_display_shows_the_node_at_work_and_the_whole(clock: Clock) -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system=None)
    token = CancelToken()
    live = Live(console, token, clock)
    for name in ("model", "sample", "save"):
        live.show(events.Queued(name, "T"))
    live.show(events.Running("model", "Loader"))
    clock.now += 3
    with console.capture() as shown:
        live.show(events.Finished("model", 3.0))
    assert shown.get().split() == ["done", "model", "Loader", "3.0", "s"]
    live.show(events.Running("sample", "KSampler"))
    live.show(events.Progress("sample", 0, 20))
    clock.now += 2
    live.show(events.Progress("sample", 4, 20))
    with console.capture() as shown:
        console.print(live._draw())
    sample, whole = shown.get().splitlines()
    assert sample.startswith("sample KSampler")
    assert sample.rstrip().endswith("step 4/20, 2.0 it/s, 8.0 s left")
    assert whole.startswith("all")
    assert whole.rstrip().endswith("1 of 3 nodes, 5.0 s")
    token.cancel()
    with console.capture() as shown:
        console.print(live._draw())
    assert shown.get().splitlines()[-1].startswith("cancelling after the step at work")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (duration(0.123), "0.12 s"),
        (duration(59.9), "59.9 s"),
        (duration(59.96), "1 min 00 s"),
        (duration(125), "2 min 05 s"),
        (duration(3720), "1 h 02 min"),
        (size(999), "999 B"),
        (size(1023), "1023 B"),
        (size(1536), "1.5 KiB"),
        (size(812 * 2**20), "812 MiB"),
        (size(5 * 2**30), "5.0 GiB"),
        (number(859_520_964), "859.5 M"),
        (number(999), "999"),
        (rate(3.44), "3.4 it/s"),
        (rate(0.4), "2.5 s/it"),
        (rate(0), ""),
        (several(1, "node"), "1 node"),
        (several(2, "node"), "2 nodes"),
    ],
)
def test_quantities_are_said_as_people_read_them(said: str, expected: str) -> None:
    assert said == expected
