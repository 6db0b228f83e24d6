"""An adapter that is put on a network for a while does what it does baked into the network's file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.diffusion.adapters.blocks import weighted
from nodegraph.diffusion.adapters.match import match
from nodegraph.diffusion.adapters.read import read_adapter
from nodegraph.diffusion.memory.manager import Memory
from nodegraph.diffusion.memory.patches import Patch
from nodegraph.diffusion.merging.files import bake, model_shapes
from nodegraph.diffusion.weights.load import load_checkpoint, open_checkpoint

LINEAR = "lora_unet_mid_block_attentions_0_transformer_blocks_0_attn1_to_v"
CELL = "lora_unet_mid_block_attentions_0_proj_in"
KERNEL = "lora_unet_mid_block_resnets_0_conv1"


def random(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))) * 0.3


LORA = {f"{LINEAR}.lora_up.weight": random(32, 2), f"{LINEAR}.lora_down.weight": random(2, 32)}
KINDS = {
    "lora": LORA,
    "linear on a convolution": {f"{CELL}.lora_up.weight": random(32, 2), f"{CELL}.lora_down.weight": random(2, 32)},
    "locon": {f"{KERNEL}.lora_up.weight": random(32, 2, 1, 1), f"{KERNEL}.lora_down.weight": random(2, 32, 3, 3)},
    "tucker": {
        f"{KERNEL}.lora_up.weight": random(32, 2, 1, 1),
        f"{KERNEL}.lora_down.weight": random(3, 32, 1, 1),
        f"{KERNEL}.lora_mid.weight": random(2, 3, 3, 3),
    },
    "dora": {**LORA, f"{LINEAR}.dora_scale": random(32, 1).abs()},
    "oft": {f"{KERNEL}.oft_blocks": random(4, 8, 8)},
    "lokr": {f"{KERNEL}.lokr_w1": random(4, 4), f"{KERNEL}.lokr_w2": random(8, 8, 3, 3)},
    "bias": {f"{KERNEL}.diff_b": random(32)},
}


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_worn_or_baked_in_is_the_same(tmp_path: Path, checkpoint: Callable[..., Path], kind: str) -> None:
    base = checkpoint(0)
    save_file(KINDS[kind], tmp_path / "adapter.safetensors")
    matched = weighted(
        match(read_adapter(tmp_path / "adapter.safetensors"), model_shapes(base)).checked(), {"M00": 0.5}
    )
    path = bake(tmp_path / "baked.safetensors", base, [(matched, 0.8, 0.0)], dtype=torch.float32)
    x, step, context = random(1, 4, 8, 8), torch.tensor([500.0]), random(1, 5, 24)
    expected = load_checkpoint(path, device="cpu", dtype=torch.float32).unet(x, step, context)
    blueprint = open_checkpoint(base, device="cpu", dtype=torch.float32).blueprints["unet"]
    with Memory().lend(blueprint, [Patch("adapter", matched.entries["unet"], 0.8)]) as network:
        torch.testing.assert_close(network(x, step, context), expected, rtol=1e-4, atol=2e-5)
    with Memory().lend(blueprint) as network:
        assert not torch.allclose(network(x, step, context), expected, rtol=1e-4, atol=2e-5)
