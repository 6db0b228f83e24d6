"""Pictures that a server's worker makes carry what verifies them, as those of a run do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from nodegraph.runtime import Options
from nodegraph.verification import Report, Verifier
from tests.verification.pictures import NOISE


async def test_a_picture_of_a_worker_is_made_again_elsewhere(worker: Any, tmp_path: Path) -> None:
    result = await worker.run(NOISE)
    assert result["state"] == "done"
    saved = sorted((tmp_path / "stage" / "output").glob("*.png"))
    assert len(saved) == 2

    def verify() -> list[Report]:
        return list(Verifier(Options(output=tmp_path / "other", plugins=False)).verify(saved))

    reports = await asyncio.to_thread(verify)
    assert [(report.verdict, report.node, report.index, report.differences) for report in reports] == [
        ("same", "save", 0, ()),
        ("same", "save", 1, ()),
    ]
