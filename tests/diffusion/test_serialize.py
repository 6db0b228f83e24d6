"""Values as bytes: what comes back is what was written, to the bit."""

from __future__ import annotations

import io
from dataclasses import fields, is_dataclass
from typing import Any

import pytest
import torch

from nodegraph.diffusion.serialize import SERIALIZERS, ValueSerializer
from nodegraph.diffusion.values import Area, Conditioning, ConditioningEntry, Image, Latent, Mask, Model, Origin, Placed


def fitting(value: object) -> list[ValueSerializer]:
    return [serializer for serializer in SERIALIZERS if serializer.can(value)]


def there_and_back(value: object) -> Any:
    (serializer,) = fitting(value)
    stream = io.BytesIO()
    serializer.dump(value, stream)
    return serializer.load(io.BytesIO(stream.getvalue()))


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return a.dtype == b.dtype and a.shape == b.shape and torch.equal(a, b)
    if is_dataclass(a):
        return type(a) is type(b) and all(same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8])
def test_tensors_of_any_precision(dtype: torch.dtype) -> None:
    tensor = (torch.randn(3, 4, generator=torch.Generator().manual_seed(0)) * 50).to(dtype)
    assert same(tensor, there_and_back(tensor))
    assert same(tensor.t()[1:], there_and_back(tensor.t()[1:]))


def test_values_with_all_that_they_may_carry() -> None:
    one = torch.rand(2, 4, 8, 8)
    entry = ConditioningEntry(
        one[:, 0], pooled=one[0, 0], area=Area(0, 0.25, 1, 0.5, fraction=True), mask=one[0, :1], strength=0.1,
        extras={"control": one[1]},
    )  # fmt: skip
    values = [
        Image(torch.rand(2, 8, 8, 3), (Origin(2**64 - 1, 0), Origin(2**64 - 1, 1))),
        Mask(torch.rand(1, 8, 8)),
        Latent(one.to(torch.bfloat16), noise_mask=one[0], batch_index=(3, 4)),
        Conditioning((entry, entry)),
        Conditioning(()),
    ]
    for value in values:
        assert same(value, there_and_back(value))


def test_tensors_that_share_memory_come_back_apart_and_small() -> None:
    whole = torch.rand(2, 1000, 16)
    entry = ConditioningEntry(whole[:1], pooled=whole[0, :1], extras={"same": whole[:1], "all": whole})
    back = there_and_back(Conditioning((entry,)))
    assert same(back, Conditioning((entry,)))
    stream = io.BytesIO()
    SERIALIZERS[0].dump(whole[0, :1], stream)
    assert len(stream.getvalue()) < 500


def test_networks_and_what_holds_them_are_not_written() -> None:
    network = torch.nn.Linear(2, 2)
    for value in (network, Model(Placed(network)), network.weight, torch.zeros(2, device="meta"), object(), 5, None):
        assert fitting(value) == []
    assert fitting(Image(torch.zeros(1, 2, 2, 3, device="meta"))) == []


DEEP = (200_000).to_bytes(8, "big") + b"[" * 200_000


@pytest.mark.parametrize("data", [b"", b"\0" * 7, b"\0" * 64, b"\xff" * 64, b"\0" * 7 + b"\2{}" + b"\0" * 64, DEEP])
def test_data_of_something_else_raises(data: bytes) -> None:
    (serializer,) = fitting(Mask(torch.zeros(1, 2, 2)))
    with pytest.raises(ValueError, match=r"this is no mask 1|Expecting value|can't decode"):
        serializer.load(io.BytesIO(data))
