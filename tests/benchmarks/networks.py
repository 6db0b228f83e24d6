"""Time the networks of Stable Diffusion 1.5 at full size side by side with diffusers' and transformers' own.

Weights are random, since only time is measured. Each pair takes turns, so that a machine that speeds up or slows down
does so for both. Run it by `python tests/benchmarks/networks.py [--device cuda] [--dtype bf16] [--repeats 5]`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from rich.console import Console
from rich.table import Table
from torch import nn
from transformers import CLIPTextConfig as TheirClipConfig
from transformers import CLIPTextModel

from nodegraph.diffusion.devices import default_device, default_dtype, parse_dtype
from nodegraph.diffusion.models.clip import ClipText, ClipTextConfig
from nodegraph.diffusion.models.unet import UNet, UNetConfig
from nodegraph.diffusion.models.vae import Autoencoder, AutoencoderConfig

Call = Callable[[], object]
WIDTHS = (128, 256, 512, 512)


def filled(make: Callable[[], nn.Module], device: torch.device, dtype: torch.dtype) -> nn.Module:
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


def unets(side: int, device: torch.device, dtype: torch.dtype) -> tuple[Call, Call]:
    """Return a guided step's network call, batch 2, by us and by diffusers."""
    ours = filled(lambda: UNet(UNetConfig()), device, dtype)
    theirs = filled(lambda: UNet2DConditionModel(cross_attention_dim=768), device, dtype)
    x = torch.randn(2, 4, side, side, device=device, dtype=dtype)
    time_step, context = torch.full((2,), 500.0, device=device), torch.randn(2, 77, 768, device=device, dtype=dtype)
    return (lambda: ours(x, time_step, context)), (lambda: theirs(x, time_step, context))


def decoders(side: int, device: torch.device, dtype: torch.dtype) -> tuple[Call, Call]:
    """Return the decoding of one picture by us and by diffusers."""
    ours = filled(lambda: Autoencoder(AutoencoderConfig()), device, dtype)
    kinds = ("DownEncoderBlock2D",) * 4, ("UpDecoderBlock2D",) * 4
    theirs = filled(
        lambda: AutoencoderKL(
            block_out_channels=WIDTHS, down_block_types=kinds[0], up_block_types=kinds[1], layers_per_block=2
        ),
        device,
        dtype,
    )
    z = torch.randn(1, 4, side, side, device=device, dtype=dtype)
    return (lambda: ours.decode(z)), (lambda: theirs.decode(z))  # type: ignore[operator]


def encoders(device: torch.device, dtype: torch.dtype) -> tuple[Call, Call]:
    """Return the reading of two prompts by us and by transformers."""
    ours = filled(lambda: ClipText(ClipTextConfig()), device, dtype)
    config = TheirClipConfig(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
    theirs = filled(lambda: CLIPTextModel(config), device, dtype)
    tokens = torch.randint(0, 49000, (2, 77), device=device)
    return (lambda: ours(tokens)), (lambda: theirs(tokens))


def compare(ours: Call, theirs: Call, repeats: int, device: torch.device) -> tuple[float, float, float]:
    """Return the median seconds of each and the median ratio of the pairs, ours to theirs."""
    pairs = []
    with torch.inference_mode():
        for _ in range(2):
            ours(), theirs()
        for _ in range(repeats):
            pairs.append((seconds(ours, device), seconds(theirs, device)))
    return median(a for a, _ in pairs), median(b for _, b in pairs), median(a / b for a, b in pairs)


def seconds(call: Call, device: torch.device) -> float:
    """Time one call, the device's work included."""
    start = time.perf_counter()
    call()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", help="default: the fastest at hand")
    parser.add_argument("--dtype", help="fp32, fp16 or bf16; default: what suits the device")
    parser.add_argument("--size", type=int, default=512, help="pixels of a side (default: 512)")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    device = torch.device(options.device) if options.device else default_device()
    dtype = parse_dtype(options.dtype) if options.dtype else default_dtype(device)
    side = options.size // 8
    cases: dict[str, Callable[[], tuple[Call, Call]]] = {
        f"UNet, {options.size} x {options.size}, batch 2": lambda: unets(side, device, dtype),
        f"VAE decode, {options.size} x {options.size}": lambda: decoders(side, device, dtype),
        "CLIP-L, 2 prompts": lambda: encoders(device, dtype),
    }
    title = f"{device}, {dtype}, torch {torch.__version__}"
    table = Table("network", "nodegraph, ms", "reference, ms", "ratio", title=title)
    for name, make in cases.items():
        ours, theirs, ratio = compare(*make(), options.repeats, device)
        table.add_row(name, f"{1000 * ours:.1f}", f"{1000 * theirs:.1f}", f"{ratio:.2f}")
    Console().print(table)


if __name__ == "__main__":
    main()
