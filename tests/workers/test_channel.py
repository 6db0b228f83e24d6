"""A child's end of the pipes, on pipes of a test."""

from __future__ import annotations

import os
import threading
import time
from typing import BinaryIO

import pytest

from nodegraph.server.protocol import HEAD, Header, decode, encode, lengths
from nodegraph.workers.channel import INTERVAL, MOST_WAITING, Channel


class Ends:
    """The channel under test and the server's ends of its pipes."""

    def __init__(self) -> None:
        take, self.write = os.pipe()
        read, give = os.pipe()
        self.channel, self.file = Channel(take, give), os.fdopen(read, "rb", closefd=False)
        self.got: list[Header] = []
        os.write(self.write, encode({"tell": "configure", "answer": 42}))
        self.config = self.channel.start(lambda header, payload: self.got.append(header))

    def frame(self) -> tuple[Header, bytes]:
        return read_frame(self.file)


def read_frame(file: BinaryIO) -> tuple[Header, bytes]:
    header, payload = lengths(file.read(HEAD.size))
    return decode(file.read(header)), file.read(payload)


@pytest.fixture
def ends() -> Ends:
    # The server's ends are never closed: a channel whose pipe ends ends its process, which here is the test's.
    return Ends()


def test_the_configuration_comes_first_then_frames(ends: Ends) -> None:
    assert ends.config["answer"] == 42
    os.write(ends.write, encode({"tell": "a"}) + encode({"tell": "b"}))
    end = time.monotonic() + 5
    while len(ends.got) < 2 and time.monotonic() < end:
        time.sleep(0.01)
    assert [header["tell"] for header in ends.got] == ["a", "b"]


def test_frames_keep_their_order_whoever_writes_them(ends: Ends) -> None:
    for number in range(500):
        ends.channel.send({"tell": "x", "number": number}, b"p" * (number % 7), now=number % 3 == 0)
    found = [ends.frame() for _ in range(500)]
    assert [header["number"] for header, _ in found] == list(range(500))
    assert [len(payload) for _, payload in found] == [number % 7 for number in range(500)]


def test_of_what_comes_too_fast_the_newest_goes_out_and_the_last_is_settled_in_its_place(ends: Ends) -> None:
    began = time.monotonic()
    for number in range(300):
        ends.channel.latest("progress", {"tell": "progress", "number": number})
        time.sleep(0.001)
    ends.channel.settle("progress")
    ends.channel.send({"tell": "finished"})
    seconds = time.monotonic() - began
    found = []
    while (header := ends.frame()[0])["tell"] != "finished":
        found.append(header["number"])
    assert found == sorted(set(found))
    assert found[-1] == 299
    assert len(found) <= seconds / INTERVAL + 2


def test_what_is_dropped_does_not_go_out(ends: Ends) -> None:
    ends.channel.latest("preview", {"tell": "preview", "number": 0})
    assert ends.frame()[0]["number"] == 0
    ends.channel.latest("preview", {"tell": "preview", "number": 1})
    ends.channel.settle("preview", drop=True)
    ends.channel.send({"tell": "finished"})
    assert ends.frame()[0]["tell"] == "finished"


def test_whoever_sends_waits_while_nobody_reads(ends: Ends) -> None:
    sent = threading.Event()

    def flood() -> None:
        for _ in range(2 * MOST_WAITING):
            ends.channel.send({"tell": "x"}, b"p" * 1000)
        sent.set()

    threading.Thread(target=flood, daemon=True).start()
    assert not sent.wait(0.5)
    for _ in range(2 * MOST_WAITING):
        ends.frame()
    assert sent.wait(5)


def test_a_heartbeat_comes_each_second(ends: Ends) -> None:
    ends.channel.beat(lambda: {"tell": "heartbeat"})
    began = time.monotonic()
    for _ in range(3):
        assert ends.frame()[0] == {"tell": "heartbeat"}
    assert 1.5 < time.monotonic() - began < 5


def test_what_is_no_json_is_the_sender_s_error(ends: Ends) -> None:
    with pytest.raises(TypeError):
        ends.channel.send({"tell": object()})
    ends.channel.send({"tell": "fine"})
    assert ends.frame()[0]["tell"] == "fine"
