"""Measure how fast the command line answers: `python tests/benchmarks/cli.py`. Best of five runs, in seconds."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
WORKFLOW = str(ROOT / "workflows" / "text_to_image.json")
COMMANDS: dict[str, tuple[list[str], float | None]] = {
    "--help": (["--help"], 0.3),
    "run --help": (["run", "--help"], 0.3),
    "--version": (["--version"], 0.3),
    "nodes": (["nodes"], None),
    "plugins": (["plugins"], None),
    "check text_to_image.json": (["check", WORKFLOW], None),
    "schema": (["schema"], None),
}
"""What is measured, and what it may take."""


def seconds(arguments: list[str], folder: str, runs: int = 5) -> float:
    """Return the shortest time of a command, start of the interpreter and all."""
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        subprocess.run([sys.executable, "-m", "nodegraph", *arguments], capture_output=True, check=False, cwd=folder)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> int:
    """Print the table; fail where something takes longer than it may."""
    late = 0
    with tempfile.TemporaryDirectory() as folder:
        print(f"{'command':<28}{'seconds':>8}{'at most':>9}")
        for name, (arguments, limit) in COMMANDS.items():
            took = seconds(arguments, folder)
            late += limit is not None and took > limit
            print(f"{name:<28}{took:>8.3f}{'' if limit is None else limit:>9}")
    return 1 if late else 0


if __name__ == "__main__":
    sys.exit(main())
