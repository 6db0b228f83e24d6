"""Names of layers in LoRA files against diffusers' own modules, every one of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from nodegraph.diffusion.adapters.match import match
from nodegraph.diffusion.adapters.read import read_adapter
from nodegraph.diffusion.models.unet import UNet, UNetConfig

diffusers = pytest.importorskip("diffusers")

BOTH = ("CrossAttnDownBlock2D", "DownBlock2D"), ("UpBlock2D", "CrossAttnUpBlock2D"), (1, 0)
LAST = ("DownBlock2D", "CrossAttnDownBlock2D"), ("CrossAttnUpBlock2D", "UpBlock2D"), (0, 2)


def reference(downs: tuple[str, ...], ups: tuple[str, ...], layers: int, depth: int, **more: Any) -> nn.Module:
    network: nn.Module = diffusers.UNet2DConditionModel(
        sample_size=16,
        block_out_channels=(32, 64),
        layers_per_block=layers,
        down_block_types=downs,
        up_block_types=ups,
        cross_attention_dim=24,
        attention_head_dim=2,
        transformer_layers_per_block=depth,
        **more,
    )
    return network


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize(("downs", "ups", "depths"), [BOTH, LAST], ids=["sd1", "sdxl"])
@pytest.mark.parametrize("style", ["kohya", "peft"])
def test_each_layer_of_diffusers_finds_ours(
    tmp_path: Path, downs: tuple[str, ...], ups: tuple[str, ...], depths: tuple[int, int], layers: int, style: str
) -> None:
    from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

    depth = max(depths)
    theirs = reference(downs, ups, layers, depth, use_linear_projection=depths[0] == 0)
    ours = UNet(
        UNetConfig(
            channels=32,
            channel_multipliers=(1, 2),
            res_blocks=layers,
            transformer_depths=depths,
            middle_depth=depth,
            context_dim=24,
            heads=2,
            linear_projection=depths[0] == 0,
        )
    )
    state = {name: torch.full_like(tensor, number) for number, (name, tensor) in enumerate(ours.state_dict().items())}
    config: Any = theirs.config
    stored = {f"model.diffusion_model.{name}": tensor for name, tensor in state.items()}
    converted = convert_ldm_unet_checkpoint(stored, dict(config))
    numbers = {name: int(tensor.flatten()[0]) for name, tensor in converted.items()}
    assert numbers.keys() == theirs.state_dict().keys()
    modules = [name for name, module in theirs.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    tensors = {}
    for name in modules:
        out, *rest = theirs.get_parameter(f"{name}.weight").shape
        layer = f"unet.{name}" if style == "peft" else "lora_unet_" + name.replace(".", "_")
        up, down = ("lora_B", "lora_A") if style == "peft" else ("lora_up", "lora_down")
        tensors[f"{layer}.{up}.weight"] = torch.full((out, 1, *(1,) * (len(rest) - 1)), numbers[f"{name}.weight"] * 1.0)
        tensors[f"{layer}.{down}.weight"] = torch.ones(1, *rest)
    save_file(tensors, tmp_path / "a.safetensors")
    shapes = {name: tuple(tensor.shape) for name, tensor in state.items()}
    matched = match(read_adapter(tmp_path / "a.safetensors"), {"unet": shapes}).checked()
    assert (len(matched.entries["unet"]), matched.unfitted) == (len(modules), {})
    for name, delta in matched.entries["unet"].items():
        assert torch.equal(delta.apply(torch.zeros(shapes[name]), 1.0), state[name])


def test_each_layer_of_a_text_encoder_is_found(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    from nodegraph.diffusion.models.clip import ClipText, ClipTextConfig

    theirs = transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            **{"vocab_size": 100, "hidden_size": 24, "intermediate_size": 48, "num_hidden_layers": 2},
            **{"num_attention_heads": 4, "eos_token_id": 98, "bos_token_id": 97},
        )
    )
    config = ClipTextConfig(vocabulary=100, width=24, layers=2, heads=4, mlp_width=48, end_token=98)
    shapes = {name: tuple(tensor.shape) for name, tensor in ClipText(config).state_dict().items()}
    names = [name for name, module in theirs.named_modules() if isinstance(module, nn.Linear)]
    for prefix in ("lora_te_text_model_", "text_encoder."):
        tensors: dict[str, torch.Tensor] = {}
        for name in names:
            short = name.removeprefix("text_model.")
            layer = prefix + (short.replace(".", "_") if prefix.startswith("lora") else short)
            out, width = theirs.get_submodule(name).weight.shape
            tensors |= {
                f"{layer}.lora_up.weight": torch.ones(out, 1),
                f"{layer}.lora_down.weight": torch.ones(1, width),
            }
        save_file(tensors, tmp_path / "a.safetensors")
        matched = match(read_adapter(tmp_path / "a.safetensors"), {"clip": shapes}).checked()
        assert (len(matched.entries["clip"]), matched.unfitted) == (len(names), {})
        assert len(names) == 12
