"""Training of LoRAs: only the factors learn, and the file does in a fresh network what they did in training."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from nodegraph.diffusion.adapters.match import match
from nodegraph.diffusion.adapters.read import read_adapter
from nodegraph.diffusion.models.clip import ClipText, ClipTextConfig
from nodegraph.diffusion.models.unet import UNet, UNetConfig
from nodegraph.diffusion.models.vae import Autoencoder, AutoencoderConfig
from nodegraph.diffusion.weights.save import save_checkpoint
from nodegraph.training import shapes
from nodegraph.training.denoising import DenoisingConfig
from nodegraph.training.evaluation import Networks
from nodegraph.training.loop import LoopConfig
from nodegraph.training.lora import ATTENTION, CONVOLUTIONS, TEXT, Lora, LoraConfig, LoraRecipe, export_lora, train_lora

TINY = LoraRecipe(
    unet=LoraConfig((ATTENTION, CONVOLUTIONS), rank=2, alpha=1.0),
    denoising=DenoisingConfig(batch=2, autocast=False),
    loop=LoopConfig(steps=3, learning_rate=1e-2, warmup=1),
    scenes=4,
)


def networks() -> Networks:
    torch.manual_seed(0)
    unet = UNet(
        UNetConfig(channels=8, channel_multipliers=(1, 2), res_blocks=1, transformer_depths=(0, 1), context_dim=16,
                   heads=2, groups=4)
    )  # fmt: skip
    for value in unet.parameters():
        nn.init.normal_(value, std=0.1)
    vae = Autoencoder(AutoencoderConfig(channels=4, channel_multipliers=(1, 1, 1, 2), res_blocks=1, groups=2))
    return Networks(unet, ClipText(ClipTextConfig(width=16, layers=1, heads=2, mlp_width=32)), vae)


def answer(unet: nn.Module) -> torch.Tensor:
    draw = torch.Generator().manual_seed(1)
    x, context = torch.randn(2, 4, 8, 8, generator=draw), torch.randn(2, 77, 16, generator=draw)
    out: torch.Tensor = unet(x, torch.tensor([10.0, 900.0]), context)
    return out.detach()


def test_a_new_lora_changes_nothing_and_is_gone_when_taken_off() -> None:
    unet = networks().unet
    plain = answer(unet)
    lora = Lora(unet, TINY.unet)
    assert torch.equal(answer(unet), plain)
    for factors in lora.parameters():
        nn.init.constant_(factors, 0.1)
    assert not torch.allclose(answer(unet), plain)
    lora.take_off()
    assert torch.equal(answer(unet), plain)


def test_changes_are_those_that_the_hooks_make() -> None:
    unet = networks().unet
    lora = Lora(unet, TINY.unet)
    generator = torch.Generator().manual_seed(2)
    for factors in lora.parameters():
        nn.init.normal_(factors, std=0.1, generator=generator)
    hooked = answer(unet)
    lora.take_off()
    state = unet.state_dict()
    for name, delta in lora.changes().items():
        state[name].copy_(delta.apply(state[name], 1.0))
    torch.testing.assert_close(answer(unet), hooked, atol=1e-5, rtol=1e-4)


def test_training_moves_the_factors_and_nothing_else(tmp_path: Path) -> None:
    base = networks()
    before = {name: value.clone() for name, value in base.unet.state_dict().items()}
    changes = train_lora(tmp_path / "new", base, TINY)
    assert all(torch.equal(before[name], value) for name, value in base.unet.state_dict().items())
    assert changes.keys() == {"unet"}
    assert all(
        delta.up.abs().max() > 0 and delta.rank == 2 and delta.scale == 0.5 for delta in changes["unet"].values()
    )
    again = train_lora(tmp_path / "new", networks(), TINY)
    assert all(torch.equal(delta.up, again["unet"][name].up) for name, delta in changes["unet"].items())


def test_a_text_encoder_learns_too_where_that_is_asked_for(tmp_path: Path) -> None:
    recipe = LoraRecipe(
        unet=TINY.unet, text=LoraConfig((TEXT,), rank=1), denoising=TINY.denoising, loop=TINY.loop, scenes=4
    )
    changes = train_lora(tmp_path, networks(), recipe)
    assert all(delta.up.abs().max() > 0 for delta in changes["clip"].values())
    assert any(name.endswith("self_attn.q_proj.weight") for name in changes["clip"])


def test_a_file_fits_the_network_and_tells_its_rank(tmp_path: Path) -> None:
    base = networks()
    changes = train_lora(tmp_path / "new", base, TINY)
    file = export_lora(tmp_path / "lora.safetensors", changes, base, {"modelspec.title": "tiny"})
    shapes_of = {"unet": {name: tuple(value.shape) for name, value in base.unet.state_dict().items()}}
    matched = match(read_adapter(file), shapes_of)
    assert not matched.unfitted
    assert matched.entries["unet"].keys() == changes["unet"].keys()
    with safe_open(file, "pt") as stored:
        told = stored.metadata()
        names = list(stored.keys())
    assert all(name.startswith("lora_unet_") for name in names)
    assert (told["ss_network_dim"], told["ss_network_alpha"], told["modelspec.title"]) == ("2", "1", "tiny")
    assert json.loads(told["ss_network_args"])["conv_dim"] == "2"


def test_a_pattern_that_describes_no_layer_is_told() -> None:
    with pytest.raises(ValueError, match=r"no layer is called 'attn_\.\*'; there are \d+, such as time_embed"):
        Lora(networks().unet, LoraConfig(("attn_.*",)))


@pytest.mark.parametrize(("rank", "alpha"), [(0, 1.0), (4, 0.0)])
def test_a_rank_or_alpha_that_cannot_be_meant_is_refused(rank: int, alpha: float) -> None:
    with pytest.raises(ValueError, match="expected rank >= 1 and alpha > 0"):
        LoraConfig(rank=rank, alpha=alpha)


def test_the_command_line_trains_a_lora(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = networks()
    parts = {"unet": base.unet, "clip": base.clip, "vae": base.vae}
    file = save_checkpoint(tmp_path / "base.safetensors", parts, prediction="v")
    monkeypatch.setattr(shapes, "LoraRecipe", lambda: TINY)
    assert shapes.main(["lora", "--base", str(file), "--output", str(tmp_path)]) == 0
    with safe_open(tmp_path / "shapes_hollow.safetensors", "pt") as stored:
        assert stored.metadata()["ss_sd_model_name"] == "base.safetensors"
