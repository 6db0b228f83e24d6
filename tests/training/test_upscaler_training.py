"""Training of upscalers: pictures come nearer, and its file is one that the library knows."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nodegraph.diffusion.models.upscaling import CompactConfig
from nodegraph.diffusion.upscaling import load_upscaler, upscaled
from nodegraph.training import shapes
from nodegraph.training.loop import LoopConfig
from nodegraph.training.scenes import Item, Scene, nominal_places, paint
from nodegraph.training.styles import NIGHT, STYLES, Style
from nodegraph.training.upscaler import UpscalerRecipe, UpscalingTask, blurred, export_upscaler, gain, train_upscaler

TINY = UpscalerRecipe(
    network=CompactConfig(channels=8, convolutions=1, scale=2),
    batch=2,
    crop=32,
    loop=LoopConfig(steps=100, learning_rate=5e-3, warmup=5, decay=50),
)
PAIR = Scene((Item("circle", "red", "small"), Item("star", "blue", "large")), "above", "yellow")


@pytest.mark.parametrize("style", STYLES.values(), ids=list(STYLES))
def test_a_scene_drawn_larger_shows_the_same(style: Style) -> None:
    even = tuple(replace(placed, across=placed.across - placed.across % 2) for placed in nominal_places(PAIR))
    small, large = (paint(PAIR, even, style, scale).astype(float) for scale in (1, 2))
    assert large.shape == (256, 256, 3)
    shrunk = large.reshape(128, 2, 128, 2, 3).mean((1, 3))
    assert np.abs(shrunk - small).mean() < 0.5  # of 255: edges alone differ


def test_a_blur_keeps_plain_pictures_and_spreads_points() -> None:
    plain = torch.full((1, 3, 9, 9), 0.3)
    torch.testing.assert_close(blurred(plain, 1.0), plain)
    point = torch.zeros(1, 1, 9, 9)
    point[..., 4, 4] = 1.0
    soft = blurred(point, 1.0)
    assert soft.sum().item() == pytest.approx(1.0, rel=1e-2)
    assert soft[0, 0, 4, 5].item() == pytest.approx(soft[0, 0, 4, 4].item() * np.exp(-0.5), rel=1e-4)


def test_training_brings_pictures_nearer_and_a_second_run_gives_the_same(tmp_path: Path) -> None:
    task = UpscalingTask(TINY)
    network, again = (train_upscaler(tmp_path, TINY) for _ in range(2))
    assert gain(network, task, 2) > gain(torch.nn.Upsample(scale_factor=2), task, 2)  # which repeats pixels
    assert all(torch.equal(one, two) for one, two in zip(network.parameters(), again.parameters(), strict=True))


def test_its_file_is_a_compact_upscaler(tmp_path: Path) -> None:
    task = UpscalingTask(TINY)
    model = load_upscaler(export_upscaler(tmp_path / "up.safetensors", task.network), device="cpu")
    assert (model.family, model.scale, model.channels) == ("compact", 2, 3)
    pixels = torch.from_numpy(paint(PAIR, nominal_places(PAIR), NIGHT)).float()[None] / 255
    made = upscaled(model, pixels)
    expected = task.network(pixels.movedim(-1, 1)).clamp(0, 1).movedim(1, -1).detach()
    torch.testing.assert_close(made, expected, atol=2e-3, rtol=0)


def test_the_command_line_trains_an_upscaler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shapes, "UpscalerRecipe", lambda: TINY)
    assert shapes.main(["upscaler", "--output", str(tmp_path)]) == 0
    assert (tmp_path / "shapes_2x.safetensors").stat().st_size > 1000
    assert "dB nearer" in capsys.readouterr().out
