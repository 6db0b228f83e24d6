"""The command line as a process: signals, pipes, what is imported."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

Write = Callable[..., Path]
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals are sent otherwise on Windows")

WATCH = """
import sys
from nodegraph.cli import main
for arguments in {commands}:
    print(main(arguments), file=sys.stderr)
    for name in {names}:
        if name in sys.modules:
            print(arguments[0], "imports", name, file=sys.stderr)
"""


def imported(environment: dict[str, str], folder: Path, commands: Sequence[Sequence[str]], names: list[str]) -> str:
    """Return what is told of commands run one after the other: exit codes, and imports of `names`."""
    script = WATCH.format(commands=commands, names=names)
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=folder)
    return result.stderr


@contextmanager
def started(environment: dict[str, str], folder: Path, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Start a command; kill it at the end where it still runs."""
    command = [sys.executable, "-m", "nodegraph", *map(str, arguments)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment, cwd=folder) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for(process: subprocess.Popen[str], text: str) -> str:
    """Read stdout up to the line that holds `text`; return it."""
    assert process.stdout is not None
    return next(line for line in process.stdout if text in line)


def test_help_imports_nothing_heavy(environment: dict[str, str], tmp_path: Path) -> None:
    heavy = ["torch", "rich", "pydantic", "networkx", "pluggy", "importlib.metadata", "asyncio"]
    assert imported(environment, tmp_path, [["--help"], ["run", "--help"]], heavy) == "0\n0\n"


def test_what_runs_nothing_imports_no_torch(
    environment: dict[str, str], tmp_path: Path, sums: Path, tiny_models: Path
) -> None:
    checkpoint = str(tiny_models / "checkpoints" / "tiny.safetensors")
    commands = [["check", str(sums)], ["nodes"], ["nodes", "KSampler"], ["plugins"], ["info", checkpoint]]
    commands += [["schema"], ["schema", "CheckpointLoaderSimple"], ["run", str(sums)]]
    told = imported(environment, tmp_path, commands, ["torch"])
    assert [line for line in told.splitlines() if line == "0" or "imports" in line] == ["0"] * len(commands)


@posix
@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_run_after_the_step_at_work(
    environment: dict[str, str], tmp_path: Path, write: Write, sent: signal.Signals
) -> None:
    nodes = {
        "quick": {"type": "toys.Save", "params": {"value": 1}},
        "slow": {"type": "toys.Slow", "params": {"steps": 600, "seconds": 0.1}},
        "after": {"type": "toys.Save", "params": {"name": "after.txt"}, "links": {"value": "slow.out"}},
    }
    with started(environment, tmp_path, "run", write(nodes), "--events", "json") as process:
        wait_for(process, '"progress", "node": "slow"')
        before = time.monotonic()
        process.send_signal(sent)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - before < 20  # on a busy machine; the whole would take a minute
    result = json.loads(out.splitlines()[-1])
    assert (result["event"], result["cancelled"], result["ok"]) == ("result", True, False)
    assert "cancelling after the step at work" in err
    assert "Traceback" not in err
    assert not (tmp_path / "output" / "after.txt").exists()


@posix
def test_the_second_signal_ends_the_process_at_once(environment: dict[str, str], tmp_path: Path, write: Write) -> None:
    path = write({"slow": {"type": "toys.Slow", "params": {"steps": 1, "seconds": 600.0}}})
    with started(environment, tmp_path, "run", path, "--events", "json") as process:
        wait_for(process, '"progress", "node": "slow"')
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert "once more" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) == 130


@posix
def test_a_reader_that_goes_away_is_no_error_to_shout_about(environment: dict[str, str], tmp_path: Path) -> None:
    with started(environment, tmp_path, "nodes") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
        assert process.wait(timeout=30) == 1
