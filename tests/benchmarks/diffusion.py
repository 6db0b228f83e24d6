"""Time Stable Diffusion 1.5 at full size side by side with diffusers and transformers, as each is used by default.

Weights are random, since only time is measured. All ways of doing one thing take turns, so that a machine that speeds
up or slows down does so for all. Run it by
`python -m tests.benchmarks.diffusion [unet vae clip load] [--sides 32 64] [--repeats 5] [--compile] [--device cuda]`.
"""

from __future__ import annotations

import argparse
import gc
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from statistics import median

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from rich.console import Console
from rich.table import Table
from torch import nn
from transformers import CLIPTextConfig as TheirClipConfig
from transformers import CLIPTextModel

from nodegraph.diffusion.devices import default_device, default_dtype
from nodegraph.diffusion.loading import load
from nodegraph.diffusion.memory.manager import Memory, activate
from nodegraph.diffusion.models.clip import ClipText, ClipTextConfig
from nodegraph.diffusion.models.unet import UNet, UNetConfig
from nodegraph.diffusion.models.vae import Autoencoder, AutoencoderConfig
from nodegraph.diffusion.values import Network
from nodegraph.diffusion.weights.save import save_checkpoint

Call = Callable[[], object]
WIDTHS = (128, 256, 512, 512)
COMPILED = "nodegraph, compiled"
REFERENCE = "diffusers, fp32"
"""What diffusers does where nobody tells it anything."""


def filled(make: Callable[[], nn.Module], dtype: torch.dtype, device: torch.device | str = "cpu") -> nn.Module:
    """Build a network without initialising it twice, and give it small random weights."""
    with torch.device("meta"):
        network = make()
    network = network.to(dtype).to_empty(device=device).eval().requires_grad_(False)
    for tensor in (*network.parameters(), *(buffer for buffer in network.buffers() if buffer.is_floating_point())):
        nn.init.normal_(tensor, std=0.02)
    for name, buffer in network.named_buffers():
        if name.endswith("position_ids"):
            buffer.copy_(torch.arange(buffer.shape[-1]).expand_as(buffer))
    return network


def their_unet() -> nn.Module:
    """Return diffusers' UNet of Stable Diffusion 1.5."""
    return UNet2DConditionModel(cross_attention_dim=768)  # type: ignore[no-any-return]


def their_vae() -> nn.Module:
    """Return diffusers' autoencoder of Stable Diffusion 1.5."""
    down, up = ("DownEncoderBlock2D",) * 4, ("UpDecoderBlock2D",) * 4
    network = AutoencoderKL(block_out_channels=WIDTHS, down_block_types=down, up_block_types=up, layers_per_block=2)
    return network  # type: ignore[no-any-return]


def their_clip() -> nn.Module:
    """Return transformers' text encoder of Stable Diffusion 1.5."""
    config = TheirClipConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
    return CLIPTextModel(config)  # type: ignore[no-any-return]


class Bench:
    """The same networks by everybody; `folder` has a checkpoint of random weights, fp16, as most are stored."""

    def __init__(self, folder: Path, device: torch.device, repeats: int, compiled: bool = False) -> None:
        self.device, self.repeats, self.compiled = device, repeats, compiled
        self.file = folder / "random.safetensors"
        makes = {
            "unet": lambda: UNet(UNetConfig()),
            "vae": lambda: Autoencoder(AutoencoderConfig()),
            "clip": lambda: ClipText(ClipTextConfig()),
        }
        save_checkpoint(self.file, {name: filled(make, torch.float16) for name, make in makes.items()})
        gc.collect()

    @contextmanager
    def ours(self, part: str, dtype: str | None, compiled: bool = False) -> Iterator[nn.Module]:
        """Lend our network of a part as a workflow would have it."""
        loaded = load(self.file, device=str(self.device), dtype=dtype)
        networks: dict[str, Network[nn.Module]] = {
            "unet": loaded.model.network, "vae": loaded.vae.network, "clip": loaded.clip.network,
        }  # fmt: skip
        before = activate(Memory(compiled=compiled))
        try:
            with networks[part].lend() as network:
                yield network
        finally:
            activate(before)

    def compare(self, what: str, part: str, make: Callable[[], nn.Module], run: Callable[[nn.Module], object]) -> Table:
        """Return a table of the ways of running a network."""
        fast = default_dtype(self.device)
        with ExitStack() as stack, torch.inference_mode():
            ways: dict[str, nn.Module] = {
                "nodegraph, by default": stack.enter_context(self.ours(part, None)),
                "nodegraph, fp32": stack.enter_context(self.ours(part, "fp32")),
                **({COMPILED: stack.enter_context(self.ours(part, None, True))} if self.compiled else {}),
                REFERENCE: filled(make, torch.float32, self.device),
                f"diffusers, {str(fast).removeprefix('torch.')}": filled(make, fast, self.device),
            }
            calls: dict[str, Call] = {name: partial(run, network) for name, network in ways.items()}
            found = table(what, self.medians(calls))
            if self.compiled:
                found.caption = f"compiled: its first call took {self.first:.1f} s"
            return found

    def medians(self, calls: Mapping[str, Call]) -> dict[str, float]:
        """Return the median seconds of each call, all in turns, after a round that does not count."""
        times: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(self.repeats + 1):
            for name, call in calls.items():
                times[name].append(self.seconds(call))
        self.first = times.get(COMPILED, [0.0])[0]
        return {name: median(measured[1:]) for name, measured in times.items()}

    def seconds(self, call: Call) -> float:
        """Time one call, the device's work included."""
        start = time.perf_counter()
        call()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter() - start

    def unet(self, side: int) -> Table:
        """Time a guided step's network call: both prompts in a batch."""

        def run(network: nn.Module) -> object:
            like = next(network.parameters())
            x, context = torch.ones(2, 4, side, side).to(like), torch.ones(2, 77, 768).to(like)
            with_hidden = {"context" if isinstance(network, UNet) else "encoder_hidden_states": context}
            return network(x, torch.full((2,), 500.0, device=like.device), **with_hidden)

        return self.compare(f"a step, {side} x {side} latents, cfg", "unet", their_unet, run)

    def vae(self, side: int) -> Table:
        """Time the decoding of a picture."""

        def run(network: nn.Module) -> object:
            return network.decode(torch.ones(1, 4, side, side).to(next(network.parameters())))  # type: ignore[operator]

        return self.compare(f"VAE decode to {side * 8} pixels", "vae", their_vae, run)

    def clip(self) -> Table:
        """Time the reading of two prompts."""
        tokens = torch.randint(0, 49000, (2, 77), device=self.device)
        return self.compare("two prompts", "clip", their_clip, lambda network: network(tokens))

    def load(self) -> Table:
        """Time the way from a file, which the system has in its memory, to a UNet that can be called."""
        their_unet_folder = self.file.parent / "unet"
        filled(their_unet, torch.float16).save_pretrained(their_unet_folder)  # type: ignore[operator]
        fast = default_dtype(self.device)

        def ours() -> None:
            with self.ours("unet", None):
                gc.collect()

        def theirs() -> None:
            UNet2DConditionModel.from_pretrained(their_unet_folder, torch_dtype=fast).to(self.device)
            gc.collect()

        return table("loading the UNet", self.medians({"nodegraph": ours, "diffusers": theirs}))


def table(title: str, seconds: Mapping[str, float]) -> Table:
    """Return medians as a table, with how many times faster each is than what diffusers does by default."""
    found = Table("who", "seconds", "times faster", title=title)
    reference = seconds.get(REFERENCE) or seconds["diffusers"]
    for name, took in seconds.items():
        found.add_row(name, f"{took:.3f}", f"{reference / took:.2f}")
    return found


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="*", default=["unet", "vae", "clip", "load"], help="unet, vae, clip, load")
    parser.add_argument("--sides", type=int, nargs="+", default=[32, 64], help="cells of a latent's side")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--compile", action="store_true", help="time our networks compiled too")
    parser.add_argument("--device", help="default: the fastest at hand")
    options = parser.parse_args()
    device = torch.device(options.device) if options.device else default_device()
    console = Console()
    console.print(f"{device}, {torch.get_num_threads()} threads, torch {torch.__version__}")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), device, options.repeats, options.compile)
        for what in options.what:
            sides = options.sides if what in ("unet", "vae") else [None]
            for side in sides:
                console.print(getattr(bench, what)(*([] if side is None else [side])))


if __name__ == "__main__":
    main()
