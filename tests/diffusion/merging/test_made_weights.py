"""Weights that are made from others when they are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nodegraph.diffusion.adapters.additive import LowRank
from nodegraph.diffusion.merging.blocks import Even, PerPrefix
from nodegraph.diffusion.merging.methods import (
    AddDifference,
    Dare,
    Linear,
    MergeError,
    Method,
    Slerp,
    Ties,
    TrainDifference,
    WeightedSum,
)
from nodegraph.diffusion.merging.weights import MergedWeights, PatchedWeights
from nodegraph.diffusion.weights.header import read_header
from nodegraph.diffusion.weights.store import FileWeights, Weights

Make = Callable[..., FileWeights]
FIRST = "input_blocks.0.0.weight"


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def make(tensors: Mapping[str, Tensor], name: str) -> FileWeights:
        path = tmp_path / f"{name}.safetensors"
        save_file(dict(tensors), path)
        return FileWeights(read_header(path).tensors)

    return make


def model(make: Make, seed: int, channels: int = 4, dtype: torch.dtype = torch.float32) -> FileWeights:
    generator = torch.Generator().manual_seed(seed)
    shapes = {FIRST: (8, channels, 3, 3), "input_blocks.1.0.bias": (8,), "out.2.weight": (4, 8)}
    tensors = {name: torch.randn(shape, generator=generator).to(dtype) for name, shape in shapes.items()}
    return make(tensors, f"{seed}-{channels}")


def read(weights: Weights) -> dict[str, Tensor]:
    with weights.opened() as reader:
        return {name: reader.read(name).clone() for name in weights.shapes}


METHODS: list[tuple[Method, Callable[..., Tensor]]] = [
    (WeightedSum(Even(0.3)), lambda a, b: 0.7 * a + 0.3 * b),
    (WeightedSum(PerPrefix((("input", 1.0), ("out", 1.0)))), lambda a, b: b),
    (Linear(2.0, -2.0), lambda a, b: 2 * (a - b)),
    (AddDifference(Even(0.5)), lambda a, b, c: a + 0.5 * (b - c)),
    (Ties((1.0,), density=1.0), lambda a, b: b),
    (Dare((1.0, 0.5), density=1.0), lambda a, b, c: a + (b - a) + 0.5 * (c - a)),
]


@pytest.mark.parametrize(("method", "expected"), METHODS)
def test_each_tensor_is_merged_as_it_is_read(make: Make, method: Method, expected: Callable[..., Tensor]) -> None:
    sources = [model(make, seed) for seed in range(method.models or 2)]
    merged = MergedWeights("unet", method, sources)
    plain = [read(source) for source in sources]
    for name, tensor in read(merged).items():
        torch.testing.assert_close(tensor, expected(*(one[name] for one in plain)), rtol=1e-5, atol=1e-5)
    assert merged.shapes == sources[0].shapes
    assert len(merged.files) == len(sources)


@pytest.mark.parametrize(
    ("method", "channels"),
    [
        (AddDifference(Even(1.0)), (9, 4, 4)),
        (AddDifference(Even(1.0)), (8, 4, 4)),
        (TrainDifference(Even(1.0)), (9, 9, 4)),
        (WeightedSum(Even(0.5)), (9, 4)),
        (WeightedSum(Even(0.5)), (4, 9)),
        (Slerp(Even(0.5)), (9, 4)),
        (Ties((1.0,)), (9, 4)),
    ],
)
def test_further_channels_of_the_first_layer_stay(make: Make, method: Method, channels: tuple[int, ...]) -> None:
    sources = [model(make, seed, count) for seed, count in enumerate(channels)]
    narrow = [read(source)[FIRST][:, : min(channels)] for source in sources]
    merged = read(MergedWeights("unet", method, sources))[FIRST]
    assert merged.shape == (8, channels[0], 3, 3)
    torch.testing.assert_close(merged[:, :4], method.combine("unet", FIRST, *narrow))
    assert torch.equal(merged[:, min(channels) :], read(sources[0])[FIRST][:, min(channels) :])


def test_models_of_other_shapes_are_refused_before_anything_is_read(make: Make) -> None:
    one, two = make({"a": torch.ones(2, 3)}, "one"), make({"a": torch.ones(2, 4)}, "two")
    with pytest.raises(MergeError, match=r"unet: a is \[2, 3\] and \[2, 4\]"):
        MergedWeights("unet", WeightedSum(Even(0.5)), [one, two])
    with pytest.raises(MergeError, match="got 2 models, expected 3"):
        MergedWeights("unet", AddDifference(Even(0.5)), [one, one])
    with pytest.raises(ValueError, match="density=0"):
        Ties((1.0,), density=0)


def test_a_linear_projection_is_a_convolution_and_missing_tensors_stay(make: Make) -> None:
    one = make({"a": torch.zeros(2, 3), "b": torch.zeros(2)}, "one")
    two = make({"a": torch.ones(2, 3, 1, 1), "c": torch.ones(2)}, "two")
    merged = read(MergedWeights("unet", WeightedSum(Even(0.5)), [one, two]))
    assert torch.equal(merged["a"], torch.full((2, 3), 0.5))
    assert torch.equal(merged["b"], torch.zeros(2))
    assert merged.keys() == {"a", "b"}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_sums_are_single_precision_whatever_is_stored(make: Make, dtype: torch.dtype) -> None:
    one, two = model(make, 0, dtype=dtype), model(make, 1, dtype=dtype)
    merged = read(MergedWeights("unet", WeightedSum(Even(0.3)), [one, two]))
    a, b = read(one), read(two)
    kept = torch.float16 if dtype.itemsize == 1 else dtype
    for name, tensor in merged.items():
        assert tensor.dtype == kept
        assert torch.equal(tensor, torch.lerp(a[name].float(), b[name].float(), 0.3).to(kept))


def test_adapters_are_baked_in(make: Make) -> None:
    base = make({"a.weight": torch.zeros(4, 4), "b.weight": torch.ones(2)}, "one")
    delta = LowRank(torch.ones(4, 1), torch.ones(1, 4))
    patched = PatchedWeights(base, [("x", {"a.weight": delta}, 0.5), ("y", {"a.weight": delta}, 1.0)])
    assert torch.equal(read(patched)["a.weight"], torch.full((4, 4), 1.5))
    assert torch.equal(read(patched)["b.weight"], torch.ones(2))


def test_keys_tell_what_is_merged_and_how(make: Make) -> None:
    one, two = model(make, 0), model(make, 1)
    same = [MergedWeights("unet", WeightedSum(Even(0.3)), [one, two]).key for _ in range(2)]
    others = [
        MergedWeights("unet", WeightedSum(Even(0.4)), [one, two]).key,
        MergedWeights("unet", WeightedSum(Even(0.3)), [two, one]).key,
        PatchedWeights(one, [("x", {}, 0.5)]).key,
        PatchedWeights(one, [("x", {}, 0.6)]).key,
    ]
    assert same[0] == same[1]
    assert len({same[0], *others}) == 5
