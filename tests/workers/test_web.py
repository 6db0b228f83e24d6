"""What plugins add to the editor: only what lies in their folder and browsers may load, whatever they return."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from nodegraph import hookimpl
from nodegraph.engine.plugins import load_plugins
from nodegraph.runtime import SPECS
from nodegraph.workers import web as subject
from nodegraph.workers.web import Web, WebFiles, collect_web


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "web"
    (found / "parts").mkdir(parents=True)
    files = {
        "a.js": "1", "parts/b.mjs": "2", "look.css": "3", "page.html": "4", "code.py": "5", ".hidden.js": "6",
        "with space.js": "7", "data.JSON": "8",
    }  # fmt: skip
    for name, text in files.items():
        (found / name).write_text(text)
    return found


def collected(result: Callable[[], Any]) -> WebFiles:
    """Return what a plugin adds that returns this."""
    module = ModuleType("extra")
    module.register_web = hookimpl(result)  # type: ignore[attr-defined]
    return collect_web(load_plugins(builtin=[module], specs=SPECS, entry_points=False))["extra"]


def test_files_that_browsers_may_load_are_served_with_their_types(folder: Path) -> None:
    found = collected(lambda: Web(folder, ["a.js", "parts/b.mjs"]))
    assert {name: file.media for name, file in found.files.items()} == {
        "a.js": "text/javascript", "parts/b.mjs": "text/javascript", "look.css": "text/css",
        "data.JSON": "application/json",
    }  # fmt: skip
    assert found.files["a.js"].data == b"1"
    assert found.files["a.js"].etag != found.files["look.css"].etag
    assert (found.modules, found.refused) == (("a.js", "parts/b.mjs"), ())


def test_modules_that_are_none_are_refused_and_the_rest_stays(folder: Path) -> None:
    found = collected(lambda: Web(folder, ["look.css", "a.js", "../a.js"]))
    assert found.modules == ("a.js",)
    assert len(found.refused) == 2
    assert "'look.css' is refused" in found.refused[0]


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (lambda: {"folder": "web"}, "it returns dict; expected nodegraph.workers.web.Web"),
        (lambda: Web(Path("/nowhere")), "there is no folder 'nowhere'"),
        (lambda: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_what_is_wrong_is_told_and_adds_nothing(result: Callable[[], Any], words: str) -> None:
    found = collected(result)
    assert words in found.refused[0]
    assert not found.files


def test_there_is_a_bound(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "MOST_FILES", 3)
    assert "more than 3 files" in collected(lambda: Web(folder)).refused[0]


def test_a_plugin_may_add_nothing() -> None:
    assert collect_web(load_plugins(builtin=["nodegraph.nodes"], specs=SPECS, entry_points=False)) == {}
