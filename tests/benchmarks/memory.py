"""Show that budgets of memory are kept: a network larger than its budget, and models switched again and again.

Each figure is of a process of its own. Run it by `python -m tests.benchmarks.memory [streamed] [switches]`; the first
writes a file of 4.2 GB to the temporary folder.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import torch
from rich.console import Console
from rich.table import Table

from nodegraph.diffusion.memory.blueprint import Blueprint
from nodegraph.diffusion.memory.manager import Memory
from nodegraph.diffusion.models.unet import UNet, UNetConfig
from nodegraph.diffusion.weights.header import read_header
from nodegraph.diffusion.weights.store import FileWeights
from nodegraph.diffusion.weights.stream import Entry, save_streamed
from nodegraph.workers.memory import resident

LARGE = UNetConfig(channels=352, heads=8, groups=32)
"""1.04 thousand million parameters: 4.2 GB in float32."""
SMALL = UNetConfig(channels=64, heads=4, groups=16)
MIB = 2**20
STEPS = 3
"""After the first one, which brings what stays."""


def write(path: Path, config: UNetConfig, seed: int = 0) -> Path:
    """Write a network of random weights in float32, a tensor at a time."""
    draws = torch.Generator().manual_seed(seed)
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in UNet(config).state_dict().items()}

    def entry(name: str, shape: tuple[int, ...]) -> Entry:
        return Entry(name, torch.float32, shape, lambda: torch.empty(shape).normal_(std=0.02, generator=draws))

    return save_streamed(path, [entry(*item) for item in shapes.items()])


def network(path: Path, config: UNetConfig) -> Blueprint:
    """Return the network in a file, to run in float32 on the CPU."""
    weights = FileWeights(read_header(path).tensors)
    return Blueprint(lambda: UNet(config), weights, torch.device("cpu"), torch.float32, path.name)


def step(memory: Memory, found: Blueprint) -> torch.Tensor:
    """Run a guided step on a small latent."""
    draws = torch.Generator().manual_seed(1)
    x, context = torch.randn(2, 4, 16, 16, generator=draws), torch.randn(2, 77, 768, generator=draws)
    with memory.lend(found) as module, torch.inference_mode():
        result: torch.Tensor = module(x, torch.full((2,), 500.0), context=context)
    return result


def streamed(path: Path, budget: int | None) -> dict[str, float]:
    """Run steps within a budget of MiB; return what the process held at most, Python and torch included."""
    memory, found = Memory({"cpu": None if budget is None else budget * MIB}), network(path, LARGE)
    times = []
    for _ in range(STEPS + 1):
        start = time.perf_counter()
        result = step(memory, found)
        times.append(time.perf_counter() - start)
    told = {"first": times[0], "seconds": median(times[1:]), "result": float(result.double().std())}
    return {"peak": resident("VmHWM:") / MIB, **told}


def switches(paths: list[Path], count: int = 50) -> dict[str, float]:
    """Use networks in turn where there is room for one; return what is held after the first rounds and at the end."""
    found = [network(path, SMALL) for path in paths]
    memory = Memory({"cpu": found[0].size * 3 // 2})
    held = []
    for round in range(count):
        step(memory, found[round % len(found)])
        held.append(resident() / MIB)
    return {"size": found[0].size / MIB, "early": max(held[:10]), "late": max(held[-10:])}


def apart(*arguments: str) -> dict[str, float]:
    """Measure in a process of its own."""
    done = subprocess.run([sys.executable, "-m", __spec__.name, *arguments], check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["streamed", "switches"])
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        kind, budget, *files = options.child
        paths = [Path(file) for file in files]
        told = switches(paths) if kind == "switches" else streamed(paths[0], int(budget) or None)
        sys.stdout.write(json.dumps(told))
        return
    console = Console()
    with tempfile.TemporaryDirectory() as folder:
        if "streamed" in options.what:
            path = write(Path(folder) / "large.safetensors", LARGE)
            names = ("budget, MiB", "process at most, MiB", "first step, loading included, s", "s a step", "result")
            table = Table(*names)
            for budget in (0, 3072, 2048, 1024):
                told = apart("--child", "streamed", str(budget), str(path))
                row = (f"{told['peak']:.0f}", f"{told['first']:.2f}", f"{told['seconds']:.2f}", f"{told['result']:.6f}")
                table.add_row(str(budget or "none"), *row)
            table.title = f"a network of {path.stat().st_size / MIB:.0f} MiB"
            console.print(table)
            path.unlink()
        if "switches" in options.what:
            paths = [write(Path(folder) / f"{seed}.safetensors", SMALL, seed) for seed in range(3)]
            told = apart("--child", "switches", "0", *map(str, paths))
            console.print({name: round(value) for name, value in told.items()})


if __name__ == "__main__":
    main()
