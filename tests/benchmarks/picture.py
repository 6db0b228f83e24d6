"""Time the bundled workflow with the bundled model: cold, warm with another seed, and all from the cache.

Run it by `python tests/benchmarks/picture.py [--repeats 5]`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from nodegraph import Options, Runtime, resources
from nodegraph.engine.spec import Json


def seconds(runtime: Runtime, inputs: Mapping[str, Json]) -> float:
    """Time one run, checks and the saved file included."""
    start = time.perf_counter()
    runtime.run(resources.workflows() / "text_to_image.json", inputs=inputs).result.check()
    return time.perf_counter() - start


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        runtime = Runtime(Options(output=Path(folder) / "output", data=Path(folder) / "data"))
        cold = seconds(runtime, {"seed": 0})
        warm = median(seconds(runtime, {"seed": 1 + turn}) for turn in range(repeats))
        four = median(seconds(runtime, {"seed": 101 + turn, "batch_size": 4}) for turn in range(repeats))
        cached = median(seconds(runtime, {"seed": 0}) for _ in range(repeats))
    table = Table("run", "seconds")
    table.add_row("first, imports and model loading included", f"{cold:.2f}")
    table.add_row("another seed", f"{warm:.2f}")
    table.add_row("four pictures at once", f"{four:.2f}")
    table.add_row("the same again", f"{cached:.3f}")
    Console().print(table)


if __name__ == "__main__":
    main()
