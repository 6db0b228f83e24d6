"""Time what LoRAs and previews cost beside a step of Stable Diffusion 1.5 at full size.

Run it by `python -m tests.benchmarks.adapters [switch step preview] [--rank 32] [--repeats 9] [--device cuda]`; it
writes files of 2 GB to the temporary folder.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch
from rich.console import Console
from rich.table import Table

from nodegraph.diffusion.adapters.additive import LowRank
from nodegraph.diffusion.adapters.save import save_lora
from nodegraph.diffusion.loading import load_model
from nodegraph.diffusion.loras import load_lora, with_lora
from nodegraph.diffusion.memory.stored import stored
from nodegraph.diffusion.models.unet import UNet, UNetConfig
from nodegraph.diffusion.values import LatentPreview, Lora, Model
from nodegraph.diffusion.weights.stream import Entry, save_streamed
from nodegraph.workers.memory import resident
from nodegraph.workers.previews import USUAL, encode

MIB = 2**20
Calls = dict[str, Callable[[], object]]
PREFIX = "model.diffusion_model."


def write_model(path: Path) -> Path:
    """Write a network in float16, a tensor at a time; what its weights are makes no difference here."""
    with torch.device("meta"):
        shapes = {name: tuple(tensor.shape) for name, tensor in UNet(UNetConfig()).state_dict().items()}

    def entry(name: str, shape: tuple[int, ...]) -> Entry:
        return Entry(PREFIX + name, torch.float16, shape, lambda: torch.full(shape, 0.01, dtype=torch.float16))

    return save_streamed(path, [entry(*item) for item in shapes.items()])


def write_lora(path: Path, model: Model, rank: int, seed: int) -> Path:
    """Write a LoRA for all linear layers of the attention of a model."""
    shapes = stored(model.network).blueprint.weights.shapes
    draws = torch.Generator().manual_seed(seed)
    changes = {
        name: LowRank(torch.randn(shape[0], rank, generator=draws) * 1e-4, torch.randn(rank, shape[1], generator=draws))
        for name, shape in shapes.items()
        if name.endswith(".weight") and len(shape) == 2 and ".transformer_blocks." in name
    }
    return save_lora(path, {"unet": changes}, {"unet": shapes})


def step(model: Model, side: int) -> None:
    """Run the network for a guided step."""
    with model.network.lend() as network, torch.inference_mode():
        like = next(network.parameters())
        x, context = torch.ones(2, 4, side, side).to(like), torch.ones(2, 77, 768).to(like)
        network(x, torch.full((2,), 500.0, device=like.device), context)
        if like.is_cuda:
            torch.cuda.synchronize(like.device)


def timed(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def worn(model: Model, lora: Lora | None) -> Callable[[], None]:
    """Return what puts a LoRA on, or takes it off, up to where the network can be called."""

    def put() -> None:
        dressed = model if lora is None else with_lora(lora, model, None).model
        if dressed is not None:
            with dressed.network.lend():
                pass

    return put


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", choices=["switch", "step", "preview", []])
    parser.add_argument("--rank", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--device")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = load_model(write_model(Path(folder, "unet.safetensors")), device=given.device)
        paths = [write_lora(Path(folder, f"{seed}.safetensors"), model, given.rank, seed) for seed in (1, 2)]
        worn(model, None)()
        held = resident()
        loras = [load_lora(path, model) for path in paths]
        parts = {"switch": switching(model, paths[0], *loras), "step": steps(model, loras[0]), "preview": preview()}
        calls = {name: call for part in given.parts or parts for name, call in parts[part].items()}
        times: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(given.repeats):
            for name, call in calls.items():
                times[name].append(timed(call))
        show(times, (resident() - held) / MIB, sum(path.stat().st_size for path in paths) / MIB)


def switching(model: Model, path: Path, one: Lora, other: Lora) -> Calls:
    return {
        "reading a LoRA": lambda: load_lora(path, model),
        "putting one on": worn(model, one),
        "putting another on in its place": worn(model, other),
        "taking it off": worn(model, None),
    }


def steps(model: Model, lora: Lora) -> Calls:
    dressed = with_lora(lora, model, None).model or model
    return {
        "a step, 32 x 32 latents, cfg": lambda: step(model, 32),
        "the same with a LoRA": lambda: step(dressed, 32),
    }


def preview() -> Calls:
    shown = LatentPreview(torch.randn(1, 4, 64, 64), format=USUAL)
    return {"a preview of 64 x 64 latents by colours": lambda: encode(shown)}


def show(times: dict[str, list[float]], grown: float, files: float) -> None:
    """Print medians and the least of each, in milliseconds, and what both LoRAs hold."""
    table = Table("ms", "median", "least", title=f"both LoRAs hold {grown:.0f} MiB; their files have {files:.0f} MiB")
    for name, measured in times.items():
        table.add_row(name, f"{1000 * median(measured):.1f}", f"{1000 * min(measured):.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
