"""Runs that make pictures, and what makes them again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from nodegraph.engine.spec import Json
from nodegraph.runtime import Options, Runtime
from nodegraph.verification.report import Report
from nodegraph.verification.verify import Verifier, Wish
from tests.verification.pictures import Make, Verify


@pytest.fixture
def options(tmp_path: Path, tiny_models: Path, monkeypatch: pytest.MonkeyPatch) -> Options:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return Options(
        models=(tiny_models,), input=(tmp_path / "input",), output=tmp_path / "old", data=tmp_path / "data",
        device="cpu", dtype="fp32", plugins=False,
    )  # fmt: skip


@pytest.fixture
def make(options: Options) -> Make:
    """Return what runs nodes and gives the pictures that they saved."""

    def make_pictures(nodes: Mapping[str, Json], **more: Any) -> list[Path]:
        outputs = Runtime(options).run({"format": 1, "nodes": dict(nodes), **more})
        outputs.result.check()
        return [picture.path for picture in outputs.pictures]

    return make_pictures


@pytest.fixture
def verify(options: Options) -> Verify:
    """Return what verifies pictures."""

    def verify_pictures(*paths: Path, wish: Wish | None = None, **changes: Any) -> list[Report]:
        chosen = Options(**{**vars(options), "device": None, "dtype": None, **changes})
        return list(Verifier(chosen, wish or Wish()).verify(paths))

    return verify_pictures
