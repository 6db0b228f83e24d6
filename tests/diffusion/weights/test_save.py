"""Writing checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from nodegraph.diffusion.weights.save import save_checkpoint


def test_saving_appears_whole_or_not_at_all(tmp_path: Path, networks: Mapping[str, nn.Module]) -> None:
    path = save_checkpoint(tmp_path / "a.safetensors", networks)
    before = path.read_bytes()
    broken = {**networks, "clip": nn.Linear(1, 1)}
    with pytest.raises(ValueError, match=r"got the parts \['unet'\], expected \['clip', 'unet', 'vae'\]"):
        save_checkpoint(path, {"unet": networks["unet"]})
    with pytest.raises(AttributeError):
        save_checkpoint(path, broken)
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.safetensors"]
    with pytest.raises(OSError, match=r"a\.safetensors: cannot be written"):
        save_checkpoint(tmp_path / "none" / "a.safetensors", networks)


def test_equal_weights_are_equal_files(tmp_path: Path, networks: Mapping[str, nn.Module]) -> None:
    about = {"title": "tiny", "license": "Apache-2.0"}
    files = [save_checkpoint(tmp_path / f"{n}.safetensors", networks, about=about).read_bytes() for n in range(3)]
    assert files[0] == files[1] == files[2]
    assert {tensor.dtype for tensor in load_file(tmp_path / "0.safetensors").values()} == {torch.float16}


def test_weights_that_overflow_are_not_saved(tmp_path: Path, networks: Mapping[str, nn.Module]) -> None:
    bias = networks["unet"].get_parameter("time_embed.0.bias")
    before = bias[0].item()
    with torch.no_grad():
        bias[0] = 1e6
        try:
            with pytest.raises(ValueError, match=r"time_embed\.0\.bias is not finite at float16"):
                save_checkpoint(tmp_path / "a.safetensors", networks, dtype=torch.float16)
            save_checkpoint(tmp_path / "b.safetensors", networks, dtype=torch.bfloat16)
        finally:
            bias[0] = before
    assert not (tmp_path / "a.safetensors").exists()
