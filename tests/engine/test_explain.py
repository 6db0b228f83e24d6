"""Plans tell why each node runs or is reused."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from nodegraph import File, node
from nodegraph.engine.executor import Executor
from nodegraph.engine.explain import History
from nodegraph.engine.folders import Folders
from nodegraph.engine.graph import Graph

Build = Callable[..., Graph]


def reasons(executor: Executor, graph: Graph) -> dict[str, tuple[str, str]]:
    return {told.node: (told.action, told.reason) for told in executor.plan(graph).explain()}


def pair(value: int = 1, by: int = 1) -> dict[str, Any]:
    return {
        "n": {"type": "Number", "params": {"value": value}},
        "add": {"type": "Add", "params": {"b": by}, "links": {"a": "n.out"}},
    }


def test_first_then_reused_then_changed(build: Build) -> None:
    executor = Executor()
    assert reasons(executor, build(pair())) == {
        "n": ("run", "it runs for the first time"), "add": ("run", "it runs for the first time"),
    }  # fmt: skip
    executor.run(build(pair()))
    assert reasons(executor, build(pair())) == {
        "n": ("unneeded", "what reads it is reused"), "add": ("reuse", "nothing it is made of has changed"),
    }  # fmt: skip
    assert reasons(executor, build(pair(value=5))) == {
        "n": ("run", "`value` changed from 1 to 5"), "add": ("run", "upstream `n` runs"),
    }  # fmt: skip
    assert reasons(executor, build(pair(by=2)))["add"] == ("run", "`b` changed from 1 to 2")


def test_several_changes_are_all_told(build: Build) -> None:
    executor = Executor()
    executor.run(build(pair()))
    assert reasons(executor, build(pair(value=2, by=3)))["add"][1] == "upstream `n` runs; `b` changed from 1 to 3"


def test_a_source_that_is_reused_has_changed(build: Build) -> None:
    executor = Executor()
    executor.run(build(pair()))
    other = {"n": {"type": "Number", "params": {"value": 7}}}
    executor.run(executor.plan(build(other)))
    assert reasons(executor, build(pair(value=7))) == {
        "n": ("reuse", "nothing it is made of has changed"), "add": ("run", "upstream `n` changed"),
    }  # fmt: skip


def test_what_left_the_cache_is_told_apart_from_what_changed(build: Build) -> None:
    executor = Executor()
    executor.run(build(pair()))
    executor.cache.clear()
    assert reasons(executor, build(pair()))["n"] == ("run", "its result is no longer in the cache")


def test_a_node_that_failed_says_so(build: Build) -> None:
    executor = Executor()
    graph = build({"f": {"type": "Fail"}, "after": {"type": "Add", "links": {"a": "f.out"}}})
    executor.run(graph)
    assert reasons(executor, graph)["f"] == ("run", "it failed the last time")
    assert reasons(executor, graph)["after"] == ("run", "it runs for the first time")


def test_wired_and_typed(build: Build) -> None:
    executor = Executor()
    wired, typed = pair(), {**pair(), "add": {"type": "Add", "params": {"a": 9}}}
    executor.run(build(wired))
    assert reasons(executor, build(typed))["add"] == ("run", "`a` changed")
    executor.run(build(typed))
    assert reasons(executor, build(pair(by=2)))["add"] == ("run", "`a` is now wired; `b` changed from 1 to 2")


def test_what_runs_each_time_says_why(build: Build) -> None:
    @node("Dice", cache=False)
    def dice() -> int:
        return 4

    nodes = {
        "dice": {"type": "Dice"}, "add": {"type": "Add", "links": {"a": "dice.out"}},
        "next": {"type": "Add", "links": {"a": "add.out"}}, "sink": {"type": "Sink", "links": {"value": "next.out"}},
    }  # fmt: skip
    executor = Executor()
    executor.run(build(nodes, dice))
    told = reasons(executor, build(nodes, dice))
    assert told["dice"] == ("run", "`cache=False`: it runs each time")
    assert told["add"] == ("open", "depends on `dice`, which runs each time")
    assert told["next"][0] == "open"
    assert told["sink"] == ("run", "a sink runs each time")


def test_a_lazy_branch_is_open(build: Build) -> None:
    nodes = {
        "n": {"type": "Number"}, "m": {"type": "Number", "params": {"value": 3}},
        "if": {"type": "If", "params": {"condition": True}, "links": {"then": "n.out", "otherwise": "m.out"}},
    }  # fmt: skip
    assert reasons(Executor(), build(nodes))["m"] == ("open", "it runs only if a lazy input asks for it")


def test_files_settings_versions_and_subgraphs(build: Build, tmp_path: Path) -> None:
    picture = tmp_path / "a"
    picture.write_bytes(b"1")
    before = picture.stat()

    @node("Read", settings=["device"])
    def read(name: Annotated[str, File("input")], text: str = "x") -> int:
        return 1

    executor = Executor(settings={"device": "cpu"}, folders=Folders({"input": [tmp_path]}))
    graph = build({"r": {"type": "Read", "params": {"name": "a"}}}, read)
    executor.run(graph)
    picture.write_bytes(b"22")
    assert reasons(executor, graph)["r"][1] == "the file of `name` changed"
    picture.write_bytes(b"1")
    os.utime(picture, ns=(before.st_atime_ns, before.st_mtime_ns))
    executor.settings = {"device": "cuda"}
    assert reasons(executor, graph)["r"][1] == 'setting `device` changed from "cpu" to "cuda"'
    executor.settings = {"device": "cpu"}
    newer = replace(graph.nodes["r"], spec=replace(graph.nodes["r"].spec, version="2"))
    told = reasons(executor, Graph({"r": newer}, ("r",)))
    assert told["r"][1] == "its node type or plugin has a new version"

    def loop(by: int) -> Graph:
        body = {
            "nodes": {"a": {"type": "Add", "params": {"b": by}}},
            "inputs": {"item": ["a.a"]},
            "outputs": {"out": "a.out"},
        }
        each = {"type": "ForEach", "params": {"items": [1], "body": "plus"}}
        return build({"each": each}, subgraphs={"plus": body})

    executor.run(loop(1))
    assert reasons(executor, loop(2))["each"][1] == "the subgraph of `body` changed"


def test_the_history_survives_a_restart_and_is_bounded(build: Build, tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    long: dict[str, dict[str, Any]] = {"n": {"type": "Text", "params": {"text": "x" * 5000}}}

    @node("Text")
    def text(text: str) -> str:
        return text

    first = Executor()
    first.run(build(pair()))
    first.run(build(long, text))
    first.history.save(path)
    assert path.stat().st_size < 3000
    history = History()
    history.load(path)
    second = Executor(history=history)
    assert reasons(second, build(pair(value=2)))["n"][1] == "`value` changed from 1 to 2"
    long["n"]["params"]["text"] = "x" * 4999 + "y"
    assert "`text` changed from" in reasons(second, build(long, text))["n"][1]
    path.write_text("[1, 2")
    broken = History()
    broken.load(path)
    broken.load(tmp_path / "absent.json")
    assert len(broken) == 0
    small = Executor(history=History(limit=1))
    small.run(build(pair()))
    assert len(small.history) == 1
