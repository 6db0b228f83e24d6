"""`nodegraph submit` and `nodegraph jobs` against a real server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from nodegraph.cli import main
from nodegraph.cli.submit import _cancel_on
from nodegraph.client import Client
from nodegraph.engine.context import CancelToken
from nodegraph.remote import ClientError
from tests.server.conftest import Shared

Command = Callable[..., tuple[int, str, str]]
NODES: dict[str, Any] = {
    "add": {"type": "faults.Add", "params": {"a": 1, "b": 2}},
    "save": {"type": "faults.Save", "params": {"text": "x"}},
}
SUM = {"format": 1, "nodes": NODES, "inputs": {"a": "add.a"}, "outputs": {"sum": "add.out"}}
GATE = {
    "format": 1,
    "nodes": {**NODES, "gate": {"type": "Gate", "links": {"value": "add.out"}}},
    "outputs": {"choice": "gate.choice"},
}


@pytest.fixture
def command(
    shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Return what runs a command for the shared server in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("NODEGRAPH_TOKEN", raising=False)

    def run(*arguments: object) -> tuple[int, str, str]:
        code = main([*map(str, arguments), "--data", str(shared.data)])
        return code, *capsys.readouterr()

    return run


def write(folder: Path, document: object, name: str = "sums.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(document))
    return path


def test_submit_waits_and_tells_files_and_values(command: Command, shared: Shared, tmp_path: Path) -> None:
    code, out, err = command("submit", write(tmp_path, SUM), "--set", "a=5")
    file, value = out.splitlines()
    assert (code, value) == (0, "sum = 7")
    assert Path(file).is_file()
    assert Path(file).parent == shared.data / "output"
    assert "\njob " in f"\n{err}"  # the server is in this process, and may just have warned of a plugin
    assert "done in " in err
    assert "2 nodes ran; 0 reused; 1 file" in err


def test_what_was_made_is_fetched_on_request(command: Command, tmp_path: Path) -> None:
    code, out, _ = command("submit", write(tmp_path, SUM), "--output", tmp_path / "got", "--json")
    job = json.loads(out)
    assert (code, job["state"], job["name"], job["values"]) == (0, "done", "sums", {"sum": 3})
    assert [Path(file).parent for file in job["files"]] == [tmp_path / "got"]
    assert Path(job["files"][0]).stat().st_size == job["outputs"][0]["size"]


def test_without_waiting_the_id_is_written(command: Command, tmp_path: Path) -> None:
    code, out, err = command("submit", write(tmp_path, SUM), "--no-wait", "--name", "later", "--priority", 2)
    assert (code, err) == (0, "")
    code, shown, _ = command("jobs", "show", out.strip(), "--json")
    job = json.loads(shown)
    assert (code, job["id"], job["name"], job["priority"]) == (0, out.strip(), "later", 2)


@pytest.mark.parametrize("values", [(), ("--set", "add.a=2")])
def test_an_invalid_workflow_has_its_own_exit_code(command: Command, tmp_path: Path, values: tuple[str, ...]) -> None:
    broken = {"format": 1, "nodes": {**NODES, "lost": {"type": "faults.Ad"}}}
    code, out, err = command("submit", write(tmp_path, broken), *values)
    assert (code, out) == (3, "")
    assert "lost.type: unknown node type 'faults.Ad' (did you mean 'faults.Add'?)" in err


def test_a_failure_is_told(command: Command, tmp_path: Path) -> None:
    failing = {"format": 1, "nodes": {"bad": {"type": "faults.Raise"}}, "outputs": {"x": "bad.out"}}
    code, _, err = command("submit", write(tmp_path, failing))
    assert code == 1
    assert "node 'bad' (faults.Raise)" in err
    assert "failed in " in err


def test_a_question_is_answered_beforehand_or_told(command: Command, tmp_path: Path) -> None:
    path = write(tmp_path, GATE)
    code, out, _ = command("submit", path, "--answer", "gate=go on")
    assert (code, out.splitlines()[-1]) == (0, 'choice = "go on"')
    code, _, err = command("submit", path)
    assert code == 4
    line = next(line for line in err.splitlines() if line.startswith("gate asks"))
    job = line.split("jobs answer ")[1].split()[0]
    assert line == f'gate asks: Go on? ("go on" or "stop"); answer with \'nodegraph jobs answer {job} gate=...\''
    assert "waiting for an answer: " in err
    assert 'asks\tgate: Go on? ("go on" or "stop")\n' in command("jobs", "show", job)[1]
    code, _, err = command("jobs", "answer", job, "gate=maybe")
    assert (code, 'gate: got the text "maybe"; expected "go on" or "stop"' in err) == (3, True)
    assert command("jobs", "answer", job, "gate=stop")[0] == 0


def test_a_paused_queue_is_told(command: Command, shared: Shared, tmp_path: Path) -> None:
    def ask(what: str, body: object = None) -> None:
        headers = {**shared.headers, "Content-Type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        urlopen(Request(f"{shared.url}/api/v1/queue/{what}", data, headers, method="POST")).close()

    ask("pause", {"reason": "new driver"})
    resume = threading.Timer(1.0, ask, ["resume"])
    resume.start()
    try:
        code, _, err = command("submit", write(tmp_path, SUM))
    finally:
        resume.join()
    assert (code, "the queue is paused (new driver): the job waits until an admin resumes it\n" in err) == (0, True)


def test_what_cannot_be_read_is_told(command: Command, tmp_path: Path) -> None:
    assert command("submit", tmp_path / "none.json")[::2] == (1, f"{tmp_path / 'none.json'}: no such file\n")
    (tmp_path / "bad.json").write_text("{")
    assert command("submit", tmp_path / "bad.json")[0] == 3
    assert command("submit", write(tmp_path, []), "--server", "ftp://here")[0] == 3
    assert command("submit", write(tmp_path, SUM), "--server", "ftp://here")[0] == 2


def test_the_server_and_the_token_may_be_named(
    command: Command, shared: Shared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, url = write(tmp_path, SUM), ("--server", shared.url)
    code, _, err = command("submit", path, *url)
    assert code == 1
    assert "--token-file FILE or NODEGRAPH_TOKEN" in err
    (tmp_path / "old").write_text("not-a-token")
    assert "nobody has this token" in command("submit", path, *url, "--token-file", tmp_path / "old")[2]
    (tmp_path / "token").write_text(f"{shared.token}\n")
    code, out, _ = command("submit", path, *url, "--token-file", tmp_path / "token")
    assert code == 0
    assert out.startswith(f"{shared.url}/api/v1/outputs/")
    monkeypatch.setenv("NODEGRAPH_TOKEN", shared.token)
    assert command("submit", path, *url, "--no-wait")[0] == 0


def test_no_server_is_told_with_the_next_step(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["jobs", "list", "--data", str(tmp_path)]) == 1
    assert "'nodegraph serve' starts one" in capsys.readouterr().err


def test_jobs_are_listed_shown_cancelled_retried_and_removed(command: Command, tmp_path: Path) -> None:
    slow = {"format": 1, "nodes": {"s": {"type": "faults.Sleep", "params": {"seconds": 60, "steps": 900}}}}
    job = command("submit", write(tmp_path, {**slow, "outputs": {"x": "s.out"}}, "sleepy.json"), "--no-wait")[1].strip()
    assert command("jobs", "cancel", job)[0] == 0
    for _ in range(100):
        rows = [line.split("\t") for line in command("jobs", "list", "--text", "sleepy")[1].splitlines()]
        if rows[0][1] == "cancelled":
            break
    assert [row[:2] for row in rows] == [[job, "cancelled"]]
    assert "state\tcancelled" in command("jobs", "show", job)[1]
    again = command("jobs", "retry", job)[1].split("\t")[0]
    assert f"retry of\t{job}" in command("jobs", "show", again)[1]
    assert command("jobs", "cancel", again)[0] == 0
    assert command("jobs", "delete", job)[1] == f"{job}\tdeleted\n"
    code, _, err = command("jobs", "show", job)
    assert (code, job in err or "no job" in err) == (1, True)
    assert command("jobs", "list", "--limit", 1)[1].count("\n") == 1


def test_jobs_are_exported_and_imported(command: Command, tmp_path: Path) -> None:
    command("submit", write(tmp_path, SUM))
    assert command("jobs", "export", tmp_path / "history.ndjson", "--state", "done")[0] == 0
    count = len((tmp_path / "history.ndjson").read_text().splitlines())
    assert count >= 1
    code, out, _ = command("jobs", "import", tmp_path / "history.ndjson")
    assert (code, f"{count} skipped: they are there already" in out) == (0, True)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise on Windows")
def test_an_interrupt_cancels_the_job(command: Command, shared: Shared, tmp_path: Path) -> None:
    slow = {"format": 1, "nodes": {"s": {"type": "faults.Sleep", "params": {"seconds": 60, "steps": 600}}}}
    path = write(tmp_path, {**slow, "outputs": {"x": "s.out"}})
    arguments = [sys.executable, "-m", "nodegraph", "submit", str(path), "--data", str(shared.data)]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        assert process.stderr is not None
        job = process.stderr.readline().removeprefix("job ").split(",")[0].strip()
        while command("jobs", "show", job)[1].find("state\trunning") < 0:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert (process.returncode, "cancelled in " in err) == (130, True)
    finally:
        process.kill()
        process.wait()
    assert "state\tcancelled" in command("jobs", "show", job)[1]


async def test_a_cancel_that_does_not_reach_the_server_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    token = CancelToken()
    token.cancel()
    async with Client("http://127.0.0.1:9", patience=0.0) as client:
        with pytest.raises(ClientError):
            await _cancel_on(client, "a-job", token, asyncio.get_running_loop())
    assert "'nodegraph jobs cancel a-job' tries again" in capsys.readouterr().err
