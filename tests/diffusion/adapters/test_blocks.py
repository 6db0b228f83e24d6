"""Block weights of LoRAs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nodegraph.diffusion.adapters.blocks import ORDERS, PRESETS, SD1_LORA, block_of, block_weights, weighted
from nodegraph.diffusion.adapters.match import Matched, match
from nodegraph.diffusion.adapters.read import read_adapter

LAYERS = {
    "lora_unet_input_blocks_1_1_proj_in": ((16, 2), (2, 16)),
    "lora_unet_output_blocks_5_1_proj_out": ((16, 2), (2, 16)),
    "lora_unet_time_embed_0": ((64, 2), (2, 16)),
    "lora_te_text_model_encoder_layers_0_self_attn_q_proj": ((24, 2), (2, 24)),
}


@pytest.fixture
def matched(write: Callable[..., Path], shapes: dict[str, dict[str, tuple[int, ...]]]) -> Matched:
    tensors = {f"{layer}.lora_up.weight": torch.ones(up) for layer, (up, _) in LAYERS.items()}
    tensors |= {f"{layer}.lora_down.weight": torch.ones(down) for layer, (_, down) in LAYERS.items()}
    return match(read_adapter(write(tensors)), shapes).checked()


def test_the_number_of_weights_tells_their_order() -> None:
    assert sorted(ORDERS) == [12, 17, 20, 26]
    weights = block_weights(",".join(map(str, range(17))))
    assert weights["BASE"] == 0
    assert (weights["IN01"], weights["IN08"], weights["M00"], weights["OUT03"], weights["OUT11"]) == (1, 6, 7, 8, 16)
    assert block_weights(range(26))["OUT11"] == 25
    assert block_weights([1.0] * 12).keys() == {"BASE", "IN04", "IN05", "IN07", "IN08", "M00"} | {
        f"OUT{n:02d}" for n in range(6)
    }
    assert all(len(values) == len(SD1_LORA) for values in PRESETS.values())
    assert block_weights("midd") == dict(zip(SD1_LORA, [1, 0, 0, 0, *[1] * 8, 0, 0, 0, 0, 0], strict=True))


def test_each_tensor_lies_in_a_block() -> None:
    assert block_of("unet", "input_blocks.4.1.proj_in.weight") == "IN04"
    assert block_of("unet", "middle_block.1.proj_in.weight") == "M00"
    assert block_of("unet", "output_blocks.11.0.in_layers.2.weight") == "OUT11"
    assert block_of("unet", "time_embed.0.weight") == block_of("clip", "input_blocks.4.1.x") == "BASE"


def test_each_block_has_its_strength(matched: Matched) -> None:
    changed = weighted(matched, {"IN01": 0.5, "BASE": -1.0})
    assert list(changed.entries["unet"]) == ["input_blocks.1.1.proj_in.weight", "time_embed.0.weight"]
    half = changed.entries["unet"]["input_blocks.1.1.proj_in.weight"]
    zeros = torch.zeros(16, 16, 1, 1)
    torch.testing.assert_close(half.apply(zeros, 2.0), torch.full_like(zeros, 2.0))
    factors = half.factors(2.0)
    assert factors is not None
    torch.testing.assert_close(factors[0].flatten(1) @ factors[1].flatten(1), torch.full((16, 16), 2.0))
    text = changed.entries["clip"]["text_model.encoder.layers.0.self_attn.q_proj.weight"]
    torch.testing.assert_close(text.apply(torch.zeros(24, 24), 1.0), torch.full((24, 24), -2.0))
    whole = weighted(matched, [1.0] * 26)
    assert whole.entries == matched.entries


@pytest.mark.parametrize("given", ["1,2,3", "LOUD", [1.0] * 13, {"IN12": 1.0}, {"IN01": float("nan")}, "1," * 16 + "x"])
def test_other_weights_are_refused(given: str | list[float] | dict[str, float]) -> None:
    with pytest.raises(ValueError, match="block weights"):
        block_weights(given)
