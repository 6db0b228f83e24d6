"""Describing checkpoints from their headers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from nodegraph.diffusion.values import DiffusionSchedule
from nodegraph.diffusion.weights.describe import describe
from nodegraph.diffusion.weights.errors import TruncatedFileError, UnknownModelError
from nodegraph.diffusion.weights.hints import KEY
from nodegraph.diffusion.weights.save import save_checkpoint


@pytest.mark.parametrize(
    ("dtype", "precision"), [(torch.float32, "fp32"), (torch.float16, "fp16"), (torch.bfloat16, "bf16")]
)
def test_a_checkpoint_is_described_part_by_part(
    tmp_path: Path, networks: Mapping[str, nn.Module], dtype: torch.dtype, precision: str
) -> None:
    schedule = DiffusionSchedule(steps=500)
    path = save_checkpoint(tmp_path / "a.safetensors", networks, dtype=dtype, prediction="v", schedule=schedule)
    info = describe(path)
    assert (info.path, info.family, info.title, info.folder) == (path, "sd1", "Stable Diffusion 1.x", False)
    assert (info.precision, info.prediction, info.schedule, info.missing) == (precision, "v", schedule, ())
    assert info.size == path.stat().st_size
    assert info.parameters == sum(p.numel() for network in networks.values() for p in network.parameters())
    for part in info.parts:
        state = networks[part.name].state_dict()
        assert part.config == networks[part.name].config
        assert (part.tensors, part.precision) == (len(state), precision)
        assert part.parameters == sum(tensor.numel() for tensor in state.values())
        assert part.size == part.parameters * dtype.itemsize
    assert [part.title for part in info.parts] == ["denoising network", "autoencoder", "text encoder"]


def test_missing_parts_and_mixed_precision_are_told(tmp_path: Path, tensors: Mapping[str, Tensor]) -> None:
    path = tmp_path / "a.safetensors"
    unet = {key: value.half() for key, value in tensors.items() if key.startswith("model.diffusion_model.")}
    unet["model.diffusion_model.out.2.bias"] = torch.zeros(4)
    save_file(unet, path, {KEY: '{"unet": {"groups": 8, "heads": 4}}'})
    info = describe(path)
    assert info.missing == ("autoencoder", "text encoder")
    assert [part.name for part in info.parts] == ["unet"]
    assert info.precision == "mixed (fp16, fp32)"


def test_what_is_no_checkpoint_is_refused(tmp_path: Path, checkpoint: Path) -> None:
    path = tmp_path / "lora.safetensors"
    save_file({"lora_unet_mid_block.lora_up.weight": torch.zeros(2)}, path)
    with pytest.raises(UnknownModelError, match="looks like a LoRA"):
        describe(path)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1])
    with pytest.raises(TruncatedFileError):
        describe(checkpoint)
