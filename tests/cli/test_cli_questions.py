"""Questions on the command line: answered beforehand, told where nobody can be asked, asked on a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nodegraph.cli.questions import meant

NODES = {
    "add": {"type": "toys.Add", "params": {"a": 1, "b": 2}},
    "look": {"type": "Gate", "links": {"value": "add.out"}},
    "save": {"type": "toys.Save", "links": {"value": "look.out"}},
    "other": {"type": "toys.Save", "params": {"name": "other.txt"}, "links": {"value": "add.out"}},
}


@pytest.fixture
def gated(write: Callable[..., Path]) -> Path:
    return write(NODES)


def test_without_an_answer_the_rest_runs_and_the_message_tells_how_to_answer(
    command: Callable[..., Any], gated: Path
) -> None:
    answer = command("run", gated)
    assert answer.code == 4
    assert answer.out == "output/other.txt\n"
    assert 'look asks: Go on? ("go on" or "stop"); answer --answer look="go on"\n' in answer.err
    assert "waiting after " in answer.err
    assert "1 waiting for an answer; 1 could not run for want of what waits (save)" in answer.err


def test_an_answer_given_beforehand(command: Callable[..., Any], gated: Path) -> None:
    answer = command("run", gated, "--answer", "look=go on")
    assert (answer.code, sorted(answer.out.split())) == (
        0,
        ["output/number.txt", "output/other.txt"],
    )


def test_stop_cancels(command: Callable[..., Any], gated: Path) -> None:
    assert command("run", gated, "--answer", "look=stop").code == 130


def test_an_answer_to_no_node_is_refused_with_the_nearest(command: Callable[..., Any], gated: Path) -> None:
    answer = command("run", gated, "--answer", "lock=go on")
    assert (answer.code, answer.err) == (2, "--answer lock: the workflow has no such node (did you mean 'look'?)\n")


def test_the_result_line_tells_the_questions(command: Callable[..., Any], gated: Path) -> None:
    lines = [json.loads(line) for line in command("run", gated, "--events", "json").out.splitlines()]
    assert lines[-1]["waiting"] == [{"node": "look", "question": "Go on?", "choices": ["go on", "stop"]}]
    assert [line["choices"] for line in lines if line["event"] == "waiting"] == [["go on", "stop"], []]


@pytest.mark.parametrize(
    ("text", "choices", "value"),
    [
        ("yes\n", ("yes", "no"), "yes"),
        ("1", (0, 1), 1),
        ("1", ("1", "2"), "1"),
        ("[0, 2]", (), [0, 2]),
        ("red", (), "red"),
    ],
)
def test_what_a_text_means(text: str, choices: tuple[Any, ...], value: Any) -> None:
    assert meant(text, choices) == value


@pytest.mark.skipif(sys.platform == "win32", reason="no pseudo-terminals there")
@pytest.mark.parametrize(("typed", "code"), [("perhaps\n1\n", 0), ("stop\n", 130), ("\x03", 130), ("\x04", 4)])
def test_on_a_terminal_one_is_asked(
    environment: dict[str, str], tmp_path: Path, gated: Path, typed: str, code: int
) -> None:
    master, slave = os.openpty()
    command = [sys.executable, "-m", "nodegraph", "run", str(gated)]
    env = {**environment, "TERM": "xterm"}
    process = subprocess.Popen(
        command, stdin=slave, stderr=slave, stdout=subprocess.DEVNULL, env=env, cwd=tmp_path, start_new_session=True,
        preexec_fn=_take_terminal,
    )  # fmt: skip
    os.close(slave)
    try:
        said, deadline = b"", time.monotonic() + 30
        while b"> " not in said and time.monotonic() < deadline:
            said += os.read(master, 4096)
        assert b"look: Go on?" in said
        os.write(master, typed.encode())
        assert process.wait(30) == code
    finally:
        process.kill()
        process.wait()
        os.close(master)


def _take_terminal() -> None:
    """Make stdin the controlling terminal, so that Ctrl-C is a signal."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
