"""Toy nodes, installed as a plugin is: by an entry point."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from nodegraph.cli import main

TOYS = Path(__file__).parent / "toys"
Workflow = dict[str, Any]


class Answer(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Return the folders that make the toy plugin an installed one when they are on the path."""
    info = tmp_path_factory.mktemp("installed") / "toys-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[nodegraph]\ntoys = toys\nlost = no_such_module_of_toys\n")
    return (TOYS, info.parent)


@pytest.fixture
def environment(installed: tuple[Path, ...], tmp_path: Path) -> dict[str, str]:
    """Return the environment of a process of its own that has the toy plugin."""
    path = os.pathsep.join(map(str, installed))
    return {**os.environ, "PYTHONPATH": path, "XDG_CACHE_HOME": str(tmp_path / "cache"), "NO_COLOR": "1"}


@pytest.fixture
def command(
    installed: tuple[Path, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Answer]:
    """Return what runs a command in an empty folder of its own."""
    for folder in installed:
        monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def run(*arguments: object) -> Answer:
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return Answer(code, out, err)

    return run


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Return what writes a workflow of the given nodes to a file."""

    def write_workflow(nodes: Workflow, **parts: Any) -> Path:
        path = tmp_path / "workflow.json"
        path.write_text(json.dumps({"format": 1, "nodes": nodes, **parts}))
        return path

    return write_workflow


@pytest.fixture
def sums(write: Callable[..., Path]) -> Path:
    """Return a workflow that adds, says and saves."""
    nodes = {
        "add": {"type": "toys.Add", "params": {"a": 1, "b": 2}},
        "say": {"type": "toys.Say", "params": {"text": "hello"}},
        "save": {"type": "toys.Save", "links": {"value": "add.out"}},
    }
    inputs = {"a": "add.a", "b": "add.b", "text": "say.text", "mood": "say.mood"}
    return write(nodes, inputs=inputs, outputs={"sum": "add.out", "said": "say.out"})
