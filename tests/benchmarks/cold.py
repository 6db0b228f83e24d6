"""Profile the way from a command to its first picture: whole processes, from exec to exit, by what they tell meanwhile.

Run it by `python tests/benchmarks/cold.py [workflow.json] [--repeats 5] [--options ...]`.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from statistics import median

from rich.console import Console
from rich.table import Table

from nodegraph import resources

IMPORTED = re.compile(r"import time:\s*\d+ \|\s*(\d+) \|\s(\S+)$")
"""A line of `python -X importtime` about a module that no other module asked for: microseconds, name."""


def profile(command: list[str]) -> dict[str, float]:
    """Return the seconds of a process's parts in their order: up to the first event, each node, the rest."""
    start = time.time()
    lines = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    end = time.time()
    events = [json.loads(line) for line in lines if '"time"' in line]
    parts, began = dict[str, float](), dict[str, float]()
    parts["start, reading and checking the workflow"] = events[0]["time"] - start
    for event in events:
        node = event.get("node")
        if node and event["event"] == "running":
            began[node] = event["time"]
        elif node and event["event"] == "finished":
            parts[f"node `{node}`"] = event["time"] - began[node]
    parts["the rest"] = end - start - sum(parts.values())
    parts["all"] = end - start
    return parts


def imports(workflow: str, folder: str) -> dict[str, float]:
    """Return the seconds that the largest imports of a run take, all that they ask for included."""
    command = [sys.executable, "-X", "importtime", "-m", "nodegraph", *run(workflow, folder)]
    told = subprocess.run(command, capture_output=True, check=True, text=True).stderr.splitlines()
    found = {match[2]: int(match[1]) / 1e6 for line in told if (match := IMPORTED.match(line))}
    return {"all imports": sum(found.values()), **dict(sorted(found.items(), key=lambda item: -item[1])[:4])}


def run(workflow: str, folder: str) -> list[str]:
    """Return the arguments that run a workflow and tell everything."""
    return ["run", workflow, "--events", "json", "--no-cache", "--output", folder, "--data", folder]


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workflow", nargs="?", default=str(resources.workflows() / "text_to_image.json"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--options", nargs=argparse.REMAINDER, default=[], help="further options of nodegraph run")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "nodegraph", *run(given.workflow, folder), *given.options]
        runs = [profile(command) for _ in range(given.repeats + 1)][1:]
        modules = imports(given.workflow, folder)
    for title, rows in (
        ("from the command to its end", {part: median(one[part] for one in runs) for part in runs[0]}),
        ("imports among it", modules),
    ):
        table = Table(title, "seconds")
        for name, took in rows.items():
            table.add_row(name, f"{took:.2f}")
        Console().print(table)


if __name__ == "__main__":
    main()
