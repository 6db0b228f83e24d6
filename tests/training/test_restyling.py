"""A second style: the autoencoder keeps its first one, decodes what lies between, and every stage goes on alone."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from nodegraph.diffusion.models.clip import ClipText, ClipTextConfig
from nodegraph.diffusion.models.unet import UNet, UNetConfig
from nodegraph.diffusion.models.vae import Autoencoder, AutoencoderConfig
from nodegraph.diffusion.weights.save import save_checkpoint
from nodegraph.training import shapes
from nodegraph.training.autoencoder import ReconstructionConfig, crops_in, start_weights
from nodegraph.training.denoising import DenoisingConfig
from nodegraph.training.evaluation import Networks
from nodegraph.training.loop import Draws, Loop, LoopConfig
from nodegraph.training.polishing import PolishingConfig
from nodegraph.training.restyling import BilingualConfig, BilingualTask, RestyleRecipe, restyle
from nodegraph.training.styles import FLAT, NIGHT

SHORT = LoopConfig(steps=2, warmup=1)
TINY = RestyleRecipe(
    bilingual=BilingualConfig(pixels=ReconstructionConfig(batch=2, crop=32)),
    denoising=DenoisingConfig(batch=2, autocast=False),
    polishing=PolishingConfig(batch=1, cells=4, steps=1, autocast=False),
    autoencoder_loop=SHORT,
    unet_loop=SHORT,
    polishing_loop=SHORT,
    scenes=60,
)


def networks() -> Networks:
    torch.manual_seed(0)
    vae = Autoencoder(AutoencoderConfig(channels=4, channel_multipliers=(1, 1, 1, 2), res_blocks=1, groups=2))
    start_weights(vae, torch.Generator().manual_seed(0))
    unet = UNet(
        UNetConfig(channels=8, channel_multipliers=(1, 2), res_blocks=1, transformer_depths=(0, 1), context_dim=16,
                   heads=2, groups=4)
    )  # fmt: skip
    return Networks(unet, ClipText(ClipTextConfig(width=16, layers=1, heads=2, mlp_width=32)), vae)


def test_an_autoencoder_learns_a_style_and_keeps_the_latents_of_the_first() -> None:
    vae = networks().vae
    config = BilingualConfig(pixels=ReconstructionConfig(batch=3, crop=32), anchor=3.0, noise=0.0)
    task = BilingualTask(vae, NIGHT, config)
    flat, night = crops_in(Draws.of(5, 5), config.pixels, (FLAT, NIGHT))
    before = vae.encode(flat).mean.detach() * 0.18215
    loop = Loop(task, task.loss, LoopConfig(steps=60, learning_rate=4e-3, warmup=5), Path())
    losses = [loop.advance() for _ in range(60)]
    assert sum(losses[-10:]) < 0.8 * sum(losses[:10])
    moved = (vae.encode(flat).mean * 0.18215 - before).square().mean().sqrt()
    learnt = (vae.encode(night).mean * 0.18215 - before).square().mean().sqrt()
    assert moved < learnt


def test_what_anchors_the_first_style_is_no_part_of_what_learns() -> None:
    vae = networks().vae
    task = BilingualTask(vae, NIGHT, TINY.bilingual)
    assert task.state_dict().keys() == {f"autoencoder.{name}" for name in vae.state_dict()}
    free = BilingualTask(vae, NIGHT, replace(TINY.bilingual, anchor=0.0))
    assert task.loss(Draws.of(0, 0)).item() == pytest.approx(free.loss(Draws.of(0, 0)).item())  # it has not moved yet


def test_all_stages_run_once_and_a_second_run_gives_the_same(tmp_path: Path) -> None:
    first, again = (restyle(tmp_path, networks(), TINY) for _ in range(2))
    base = networks()
    for name in ("unet", "vae", "clip"):
        one, two, old = (getattr(given, name).state_dict() for given in (first, again, base))
        assert all(torch.equal(one[key], two[key]) for key in one)
        assert all(torch.equal(one[key], old[key]) for key in one) == (name == "clip")


def test_the_command_line_restyles_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = networks()
    parts = {"unet": base.unet, "clip": base.clip, "vae": base.vae}
    file = save_checkpoint(tmp_path / "base.safetensors", parts, prediction="v")
    monkeypatch.setattr(shapes, "RestyleRecipe", lambda: TINY)
    assert shapes.main(["restyle", "--base", str(file), "--output", str(tmp_path)]) == 0
    made = shapes.load_networks(tmp_path / "shapes_night.safetensors")
    assert made.prediction == "v"
    assert made.vae.config.preview_colors is not None
    assert not torch.equal(next(made.unet.parameters()), next(base.unet.parameters()))
