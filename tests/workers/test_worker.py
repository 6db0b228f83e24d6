"""Jobs in a real worker process."""

from __future__ import annotations

import asyncio
import re
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from nodegraph.server.children import ChildGone
from nodegraph.server.settings import Settings
from tests.workers.conftest import started

SLEEP = {"type": "faults.Sleep", "params": {"seconds": 30, "steps": 300}}


async def test_a_job_tells_what_happens_and_what_came_of_it(worker: Any, tmp_path: Path) -> None:
    nodes = {
        "text": {"type": "faults.Text", "params": {"text": "hello"}},
        "save": {
            "type": "faults.Save",
            "params": {"count": 2, "filename_prefix": "a/b"},
            "links": {"text": "text.out"},
        },
    }
    result = await worker.run(nodes)
    assert result["state"] == "done"
    assert result["failure"] is None
    assert {node["node"]: node["state"] for node in result["nodes"]} == {"text": "finished", "save": "finished"}
    assert all(node["memory"]["cpu"] > 2**20 and node["type"] for node in result["nodes"])
    files = [header for header, _ in worker.tells("file")]
    assert [(file["node"], file["ordinal"], file["kind"], file["media"]) for file in files] == [
        ("save", 0, "output", "image/png"),
        ("save", 1, "output", "image/png"),
    ]
    assert [file["file"] for file in files] == ["a/b_00001_.png", "a/b_00002_.png"]
    assert (files[0]["width"], files[0]["height"]) == (16, 16)
    with Image.open(tmp_path / "stage" / "output" / "a" / "b_00001_.png") as picture:
        assert picture.info["faults"] == "hello#0"
    kinds = [(header["tell"], header.get("event", {}).get("event")) for header, _ in worker.told]
    assert kinds.index(("file", None)) < len(kinds) - 1 - kinds[::-1].index(("event", "finished"))


async def test_plain_values_come_back_bounded(worker: Any) -> None:
    nodes = {
        "add": {"type": "faults.Add", "params": {"a": 2**60}},
        "large": {"type": "faults.Large", "params": {"length": 100_000}},
        "nan": {"type": "faults.Nan"},
    }
    outputs = {"sum": "add.out", "text": "large.out", "nothing": "nan.out"}
    result = await worker.run(nodes, file={"outputs": outputs})
    assert result["values"]["sum"] == 2**60 + 1
    assert len(result["values"]["text"]) == 64 * 1024
    assert "nothing" not in result["values"]


async def test_inputs_and_targets_hold(worker: Any) -> None:
    nodes = {"one": {"type": "faults.Add", "params": {"a": 1}}, "two": {"type": "faults.Add", "params": {"a": 2}}}
    result = await worker.run(nodes, inputs={"n": 40}, targets=["two"], file={"inputs": {"n": "two.a"}})
    assert [node["node"] for node in result["nodes"]] == ["two"]
    assert result["values"] == {"two.out": 41}


async def test_results_are_kept_from_job_to_job_and_process_to_process(worker: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"
    nodes = {"work": {"type": "faults.Work", "params": {"value": 3, "log": str(log)}}}
    states = [(await worker.run(nodes, job=f"job{index}"))["nodes"][0]["state"] for index in range(2)]
    assert states == ["finished", "cached"]
    assert log.read_text().splitlines() == ["work"]
    assert list((tmp_path / "data" / "results").rglob("*.result"))


@pytest.mark.parametrize("kind", ["ValueError", "SystemExit", "KeyboardInterrupt", "HugeRepr"])
async def test_whatever_a_node_raises_is_its_own_failure(worker: Any, kind: str) -> None:
    result = await worker.run({"bad": {"type": "faults.Raise", "params": {"kind": kind}}})
    assert result["state"] == "failed"
    failure = result["failure"]
    assert (failure["code"], failure["node"], failure["type"]) == ("node_failed", "bad", "faults.Raise")
    assert kind in failure["message"]
    assert len(failure["message"]) <= 2000
    assert re.fullmatch("[0-9a-f]{8}", failure["reference"])
    assert result["nodes"][0]["state"] == "failed"
    assert (await worker.run({"add": {"type": "faults.Add", "params": {"a": 1}}}))["state"] == "done"


async def test_a_failure_holds_neither_path_nor_secret(worker: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "nodegraph.server.children")
    result = await worker.run({"bad": {"type": "faults.Raise", "params": {"kind": "Secret"}}})
    shown = str(result) + str(worker.told)
    assert "sk-live" not in shown
    assert str(Path.home()) not in shown
    assert str(Path(__file__).parents[1]) not in shown
    await worker.until(lambda: "sk-live" in caplog.text)
    assert result["failure"]["reference"] in caplog.text


async def test_what_depends_on_a_failure_is_skipped_the_rest_goes_on(worker: Any) -> None:
    nodes = {
        "bad": {"type": "faults.Raise"},
        "after": {"type": "faults.Add", "links": {"a": "bad.out"}},
        "other": {"type": "faults.Add", "params": {"a": 1}},
    }
    result = await worker.run(nodes)
    states = {node["node"]: node["state"] for node in result["nodes"]}
    assert states == {"bad": "failed", "after": "skipped", "other": "finished"}


@pytest.mark.parametrize("kind", ["MemoryError", "TorchOOM"])
async def test_a_lack_of_memory_is_met_by_a_second_try(worker: Any, tmp_path: Path, kind: str) -> None:
    params = {"kind": kind, "once": str(tmp_path / "once"), "value": 7}
    nodes = {
        "bad": {"type": "faults.Raise", "params": params},
        "after": {"type": "faults.Add", "links": {"a": "bad.out"}},
        "save": {"type": "faults.Save"},
    }
    result = await worker.run(nodes, targets=["save", "after"])
    assert result["state"] == "done"
    assert result["values"] == {"after.out": 8}
    assert result["tried"][-1] == "ran it again"
    assert worker.events("failed") == worker.events("skipped") == []
    assert len(worker.tells("retry")) == 1
    assert len(worker.tells("file")) == 1


async def test_a_lack_of_memory_that_stays_is_told_with_what_was_tried(worker: Any) -> None:
    result = await worker.run({"bad": {"type": "faults.Raise", "params": {"kind": "MemoryError"}}})
    failure = result["failure"]
    assert failure["code"] == "out_of_memory"
    assert "as it was told" in failure["message"]
    assert "are free" in failure["message"]
    assert "ran it again" in failure["message"]
    assert (await worker.run({"add": {"type": "faults.Add", "params": {"a": 1}}}))["state"] == "done"


async def test_what_a_node_warns_of_is_told_and_stays_with_it(worker: Any) -> None:
    params = {"message": f"odd, as {Path(__file__).resolve()} says", "times": 100}
    nodes = {"odd": {"type": "faults.Warn", "params": params}}
    result = await worker.run(nodes, file={"outputs": {"times": "odd.out"}})
    assert (result["state"], result["values"]) == ("done", {"times": 100})
    warned = worker.events("warned")
    assert len(warned) == 10
    assert warned[0]["message"].startswith("odd, as ")
    assert str(Path(__file__).parent) not in str(worker.told)
    assert result["nodes"][0]["message"].startswith("odd, as ")
    assert worker.events("finished")[0]["message"] == result["nodes"][0]["message"]


async def test_where_a_warning_is_a_failure_the_node_has_failed(tmp_path: Path, settings: Settings) -> None:
    async with started(replace(settings, strict=True), tmp_path / "stage") as strict:
        result = await strict.run({"odd": {"type": "faults.Warn"}})
    assert (result["state"], result["failure"]["node"]) == ("failed", "odd")
    assert "it looks odd" in result["failure"]["message"]


async def test_a_full_disk_is_told_as_such(worker: Any) -> None:
    result = await worker.run({"bad": {"type": "faults.Raise", "params": {"kind": "NoSpace"}}})
    assert result["failure"]["code"] == "disk_full"


async def test_a_workflow_that_does_not_fit_any_more_fails_with_its_problems(worker: Any) -> None:
    result = await worker.run({"x": {"type": "faults.Gone"}})
    assert (result["state"], result["failure"]["code"]) == ("failed", "invalid")
    assert result["failure"]["problems"][0]["node"] == "x"


async def test_a_cancel_is_heeded_within_a_step(worker: Any) -> None:
    running = asyncio.create_task(worker.run({"sleep": SLEEP}))
    await worker.until(lambda: worker.events("progress"))
    asked = time.monotonic()
    worker.child.tell("cancel", job="another")
    worker.child.tell("cancel", job="job")
    result = await running
    assert time.monotonic() - asked < 1.0
    assert result["state"] == "cancelled"
    assert result["nodes"][0]["state"] == "cancelled"


async def test_a_job_is_cancelled_before_it_begins(worker: Any) -> None:
    first = asyncio.create_task(worker.run({"sleep": SLEEP}, job="first"))
    second = asyncio.create_task(worker.run({"sleep": SLEEP}, job="second"))
    await worker.until(lambda: worker.events("progress"))
    worker.child.tell("cancel", job="second")
    worker.child.tell("cancel", job="first")
    assert [(await job)["state"] for job in (first, second)] == ["cancelled", "cancelled"]
    assert {header["job"] for header, _ in worker.tells("event") if header["event"]["event"] == "running"} == {"first"}


async def test_progress_is_thinned_and_its_last_comes(worker: Any) -> None:
    params = {"seconds": 0.5, "steps": 500}
    result = await worker.run({"sleep": {"type": "faults.Sleep", "params": params}})
    values = [event["value"] for event in worker.events("progress")]
    assert values[-1] == 500
    assert values == sorted(values)
    assert len(values) <= 10 * result["seconds"] + 3


async def test_previews_are_made_only_while_they_are_wanted(worker: Any) -> None:
    nodes = {"show": {"type": "faults.Preview", "params": {"count": 200, "seconds": 1.0, "size": 600}}}
    await worker.run(nodes)
    assert worker.tells("preview") == []
    result = await worker.run(nodes, previews=True)
    previews = worker.tells("preview")
    assert 3 <= len(previews) <= 10 * result["seconds"] + 2
    header, data = previews[-1]
    assert (header["media"], header["width"], header["height"]) == ("image/jpeg", 512, 512)
    assert data.startswith(b"\xff\xd8")


async def test_previews_can_be_switched_while_a_job_runs(worker: Any) -> None:
    nodes = {"show": {"type": "faults.Preview", "params": {"count": 600, "seconds": 6.0}}}
    running = asyncio.create_task(worker.run(nodes))
    await worker.until(lambda: worker.events("progress"))
    worker.child.tell("previews", job="job", on=True)
    await worker.until(lambda: worker.tells("preview"))
    worker.child.tell("previews", job="job", on=False)
    worker.child.tell("cancel", job="job")
    assert (await running)["state"] == "cancelled"


async def test_a_gate_asks_and_the_answer_lets_it_through(worker: Any, tmp_path: Path) -> None:
    log = tmp_path / "log"
    nodes = {
        "work": {"type": "faults.Work", "params": {"value": 3, "log": str(log)}},
        "gate": {"type": "Gate", "params": {"question": "go on?"}, "links": {"value": "work.out"}},
        "add": {"type": "faults.Add", "links": {"a": "gate.out"}},
    }
    result = await worker.run(nodes, file={"outputs": {"sum": "add.out"}})
    assert (result["state"], result["failure"]) == ("waiting", None)
    question = result["questions"][0]
    assert (question["node"], question["question"]) == ("gate", "go on?")
    answers = {"gate": question["choices"][0]}
    result = await worker.run(nodes, answers=answers, file={"outputs": {"sum": "add.out"}})
    assert result["state"] == "done"
    assert log.read_text().splitlines() == ["work"]


async def test_a_crash_ends_the_call_and_tells_how(worker: Any) -> None:
    with pytest.raises(ChildGone, match="segmentation fault"):
        await worker.run({"bad": {"type": "faults.Crash", "params": {"how": "segfault"}}})
    assert [event["node"] for event in worker.events("running")] == ["bad"]
    end = await worker.child.exit
    assert end.signal == 11
    assert not worker.child.alive


async def test_the_worker_is_heard_while_it_works_but_not_while_a_node_keeps_all_threads(worker: Any) -> None:
    running = asyncio.create_task(worker.run({"x": {"type": "faults.Stubborn", "params": {"seconds": 1.5}}}))
    await worker.until(lambda: any(header["job"] == "job" for header, _ in worker.tells("heartbeat")))
    assert worker.tells("heartbeat")[-1][0]["memory"] > 2**20
    await running
    deaf = asyncio.create_task(worker.run({"x": {"type": "faults.Deaf", "params": {"seconds": 2.5}}}))
    await worker.until(lambda: worker.events("running")[1:])
    beats = len(worker.tells("heartbeat"))
    await asyncio.sleep(2.0)
    assert len(worker.tells("heartbeat")) <= beats + 1  # one may have been on its way
    await deaf


async def test_memory_is_told_by_node(worker: Any) -> None:
    nodes = {
        "big": {"type": "faults.Grow", "params": {"megabytes": 200}},
        "small": {"type": "faults.Sleep", "params": {"seconds": 0.01}, "links": {"value": "big.out"}},
    }
    result = await worker.run(nodes)
    peaks = {node["node"]: node["memory"]["cpu"] for node in result["nodes"]}
    assert peaks["big"] > peaks["small"] + 150 * 2**20
    assert result["memory"]["cpu"] == peaks["big"]
