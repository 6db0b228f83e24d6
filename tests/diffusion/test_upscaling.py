"""Upscaling networks: told by keys and shapes in every layout, equal to their definitions, run in tiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from nodegraph.diffusion.memory.shortage import OutOfMemoryError
from nodegraph.diffusion.models.compact import Compact
from nodegraph.diffusion.models.rrdb import Rrdb
from nodegraph.diffusion.models.span import Span, StagedConv
from nodegraph.diffusion.models.upscaling import CompactConfig, RrdbConfig, SpanConfig
from nodegraph.diffusion.upscaling import load_upscaler, upscaled
from nodegraph.diffusion.values import Placed, UpscaleModel
from nodegraph.diffusion.weights.errors import IncompleteModelError, UnknownModelError

RRDB = {"channels": 8, "growth": 4, "blocks": 2}


def random(network: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.1)
    return network.eval()


def pictures(height: int = 9, width: int = 7, channels: int = 3) -> Tensor:
    return torch.rand(1, height, width, channels, generator=torch.Generator().manual_seed(1))


def saved(path: Path, tensors: Mapping[str, Tensor]) -> Path:
    save_file({name: tensor.contiguous().clone() for name, tensor in tensors.items()}, path)
    return path


def original_name(name: str) -> str:
    """Return what ESRGAN's authors call a tensor of Real-ESRGAN's."""
    if name.startswith("body."):
        return name.replace("body.", "RRDB_trunk.").replace(".rdb", ".RDB")
    name = name.replace("conv_body", "trunk_conv")
    return name.replace("conv_up", "upconv").replace("conv_hr", "HRconv")


def oldest_name(doublings: int) -> Callable[[str], str]:
    """Return how the oldest files, which number their layers, call a tensor of a network of two blocks."""
    ups = {f"conv_up{index}": f"model.{3 * index}" for index in range(1, doublings + 1)}
    end = 3 * doublings + 2
    outer = {"conv_first": "model.0", "conv_body": "model.1.sub.2", **ups}
    outer |= {"conv_hr": f"model.{end}", "conv_last": f"model.{end + 2}"}

    def renamed(name: str) -> str:
        first, rest = name.split(".", 1)
        if first != "body":
            return f"{outer[first]}.{rest}"
        block, dense, convolution, kind = rest.split(".")
        return f"model.1.sub.{block}.{dense.upper()}.{convolution}.0.{kind}"

    return renamed


LAYOUTS: dict[str, Callable[[int], Callable[[str], str]]] = {
    "real": lambda _: str,
    "wrapped": lambda _: "params_ema.{}".format,
    "original": lambda _: original_name,
    "oldest": oldest_name,
}


@pytest.mark.parametrize("layout", sorted(LAYOUTS))
@pytest.mark.parametrize(
    ("config", "scale"),
    [
        (RrdbConfig(**RRDB, doublings=0), 1),
        (RrdbConfig(**RRDB, doublings=1), 2),
        (RrdbConfig(**RRDB, doublings=2), 4),
        (RrdbConfig(**RRDB, doublings=3), 8),
        (RrdbConfig(**RRDB, doublings=2, shuffle=2), 2),
        (RrdbConfig(**RRDB, doublings=2, shuffle=4), 1),
    ],
)
def test_esrgan_is_known_in_each_layout_and_scale(tmp_path: Path, layout: str, config: RrdbConfig, scale: int) -> None:
    network = random(Rrdb(config))
    rename = LAYOUTS[layout](config.doublings)
    path = saved(tmp_path / "a.safetensors", {rename(name): tensor for name, tensor in network.state_dict().items()})
    model = load_upscaler(path, device="cpu")
    assert (model.family, model.scale) == ("rrdb", scale)
    loaded = model.network
    assert isinstance(loaded, Placed)
    assert loaded.module.config == config
    given, x = upscaled(model, pictures()), pictures().movedim(-1, 1)
    assert given.shape == (1, 9 * scale, 7 * scale, 3)
    with torch.no_grad():
        assert torch.allclose(given, network(x).movedim(1, -1).clamp(0, 1), atol=1e-6)


def test_esrgan_computes_its_paper(tmp_path: Path) -> None:
    network = random(Rrdb(RrdbConfig(**RRDB, doublings=1)))
    weights, x = network.state_dict(), pictures().movedim(-1, 1)

    def conv(name: str, value: Tensor) -> Tensor:
        return functional.conv2d(value, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1)

    def act(value: Tensor) -> Tensor:
        return torch.where(value > 0, value, 0.2 * value)

    first = conv("conv_first", x)
    features = first
    for block in range(2):
        entry = features
        for dense in (1, 2, 3):
            seen = [features]
            for index in range(1, 5):
                seen.append(act(conv(f"body.{block}.rdb{dense}.conv{index}", torch.cat(seen, 1))))
            features = features + 0.2 * conv(f"body.{block}.rdb{dense}.conv5", torch.cat(seen, 1))
        features = entry + 0.2 * features
    features = first + conv("conv_body", features)
    features = act(conv("conv_up1", features.repeat_interleave(2, 2).repeat_interleave(2, 3)))
    expected = conv("conv_last", act(conv("conv_hr", features)))
    with torch.no_grad():
        assert torch.allclose(network(x), expected, atol=1e-6)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_the_compact_network_is_known(tmp_path: Path, scale: int) -> None:
    config = CompactConfig(channels=8, convolutions=3, scale=scale)
    network = random(Compact(config))
    model = load_upscaler(saved(tmp_path / "a.safetensors", network.state_dict()), device="cpu")
    assert isinstance(model.network, Placed)
    assert (model.family, model.scale, model.network.module.config) == ("compact", scale, config)
    x = pictures().movedim(-1, 1)
    layers = nn.Sequential(*network.body)  # type: ignore[misc]
    with torch.no_grad():
        expected = functional.pixel_shuffle(layers(x), scale) + functional.interpolate(x, scale_factor=scale)
        assert torch.allclose(upscaled(model, pictures()), expected.movedim(1, -1).clamp(0, 1), atol=1e-6)


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("scale", [2, 4])
def test_span_is_known_and_fused_to_the_same(tmp_path: Path, normalised: bool, scale: int) -> None:
    config = SpanConfig(channels=8, scale=scale, normalised=normalised)
    network = random(Span(config))
    stale = {f"{name}.eval_conv.weight": torch.zeros(8, 8, 3, 3) for name in ("conv_2", "block_1.c1_r")}
    path = saved(tmp_path / "a.safetensors", {**network.state_dict(), **stale})
    model = load_upscaler(path, device="cpu")
    assert isinstance(model.network, Placed)
    assert (model.family, model.scale, model.network.module.config) == ("span", scale, config)
    assert not any(isinstance(module, StagedConv) for module in model.network.module.modules())
    x = pictures().movedim(-1, 1)
    with torch.no_grad():
        staged, fused = network(x), model.network.module(x)
    assert staged.std() > 0
    assert torch.allclose(fused, staged, rtol=1e-3, atol=1e-4 * float(staged.abs().max()))


def test_a_span_that_is_stored_fused_is_known(tmp_path: Path) -> None:
    config = SpanConfig(channels=8, scale=2, fused=True)
    model = load_upscaler(saved(tmp_path / "a.safetensors", random(Span(config)).state_dict()), device="cpu")
    assert isinstance(model.network, Placed)
    assert model.network.module.config == config


def test_spans_attention_weighs_itself() -> None:
    network = random(Span(SpanConfig(channels=4, scale=2)))
    block, x = network.block_3, torch.randn(1, 4, 5, 5)
    with torch.no_grad():
        first = block.c1_r(x)  # type: ignore[union-attr, operator]
        first = first * first.sigmoid()
        second = block.c2_r(first)  # type: ignore[union-attr, operator]
        third = block.c3_r(second * second.sigmoid())  # type: ignore[union-attr, operator]
        out, inner = block(x)  # type: ignore[operator]
    assert torch.allclose(out, (third + x) * (third.sigmoid() - 0.5), atol=1e-6)
    assert torch.allclose(inner, first, atol=1e-6)


def test_other_files_are_told_apart(tmp_path: Path, tiny_models: Path) -> None:
    with pytest.raises(UnknownModelError, match="no upscaling network of a known model family; this looks like"):
        load_upscaler(tiny_models / "checkpoints" / "tiny.safetensors", device="cpu")
    for name in ("model.0.weight", "body.0.weight", "conv_cat.weight", "x"):
        with pytest.raises(UnknownModelError):
            load_upscaler(saved(tmp_path / "a.safetensors", {name: torch.zeros(3, 3, 3, 3)}), device="cpu")
    damaged = random(Compact(CompactConfig(channels=8, convolutions=1))).state_dict()
    damaged["body.4.weight"] = torch.zeros(7, 8, 3, 3)
    with pytest.raises(IncompleteModelError, match="no square of a whole factor"):
        load_upscaler(saved(tmp_path / "b.safetensors", damaged), device="cpu")


class Doubling(nn.Module):
    """Repeats pixels, and takes no more of them at once than it has room for."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.room, self.sides = room, set[int]()

    def forward(self, x: Tensor) -> Tensor:
        if x.shape[-1] * x.shape[-2] > self.room:
            raise torch.OutOfMemoryError("no room")
        self.sides.add(x.shape[-1])
        return functional.interpolate(x, scale_factor=2.0, mode="nearest")


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_pictures_are_put_together_from_tiles_that_fit(channels: int) -> None:
    network, told = Doubling(150 * 150), list[str]()
    picture = pictures(200, 300, channels)
    given = upscaled(UpscaleModel(Placed(network), 2), picture, told=told.append)
    assert network.sides == {128}
    assert len(told) == 3
    colors = picture[..., :3].expand(-1, -1, -1, 3)
    assert torch.allclose(given, colors.repeat_interleave(2, 1).repeat_interleave(2, 2), atol=1e-6)


def test_no_room_for_the_smallest_tile_is_an_error() -> None:
    with pytest.raises(OutOfMemoryError, match="tried: in tiles of 512"):
        upscaled(UpscaleModel(Placed(Doubling(10)), 2), pictures(200, 200))
