"""Muted and bypassed nodes on the command line: what is left out is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Command = Callable[..., tuple[int, str, str]]
Write = Callable[..., Path]

NODES: dict[str, Any] = {
    "add": {"type": "toys.Add", "params": {"a": 1, "b": 2}},
    "more": {"type": "toys.Add", "mode": "bypass", "params": {"b": 40}, "links": {"a": "add.out"}},
    "less": {"type": "toys.Add", "mode": "mute"},
    "save": {"type": "toys.Save", "params": {"name": "number.txt"}, "links": {"value": "more.out"}},
}


def test_a_run_leaves_out_what_is_switched_off_and_tells_it(command: Command, write: Write) -> None:
    code, _, err = command("run", write(NODES), "--explain")
    assert code == 0
    assert Path("output/number.txt").read_text() == "3"
    assert "2 left out, muted or bypassed (more, less)" in err
    assert "more: left out, it is bypassed" in err


def test_a_check_tells_what_is_left_out(command: Command, write: Write) -> None:
    path = write(NODES)
    _, out, _ = command("check", path)
    assert "more is left out: it is bypassed" in out.splitlines()
    _, out, _ = command("check", path, "--json")
    assert json.loads(out)["left_out"] == {"more": "it is bypassed", "less": "it is muted"}


def test_nothing_that_is_left_to_run_is_a_problem(command: Command, write: Write) -> None:
    muted = {**NODES, "save": {**NODES["save"], "mode": "mute"}}
    for what in ("run", "check"):
        code, _, err = command(what, write(muted))
        assert code == 3
        assert "nothing is left to run" in err
