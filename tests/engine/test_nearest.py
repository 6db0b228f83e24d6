"""Which valid name a wrong one was probably meant to be."""

from __future__ import annotations

import time

import pytest

from nodegraph.engine.nearest import nearest


@pytest.mark.parametrize(
    ("name", "names", "expected"),
    [
        ("KSamplr", ["KSampler", "LoadImage"], "KSampler"),
        ("ksampler", ["KSampler", "KSamplers"], "KSampler"),
        ("FaceDetailer", ["impact.FaceDetailer", "FaceDetail"], "impact.FaceDetailer"),
        ("pack.KSampler", ["KSampler", "pack.KSample"], "KSampler"),
        ("base.safetensors", ["other.safetensors", "sd15/base.safetensors"], "sd15/base.safetensors"),
        ("xl\\Base.safetensors", ["b/Base.safetensors", "a/base.safetensors"], "b/Base.safetensors"),
        ("euler a", ["euler_a", "heun"], "euler_a"),
        ("nothing", ["KSampler"], None),
        ("", ["a"], None),
        ("a", [], None),
    ],
)
def test_nearest_name(name: str, names: list[str], expected: str | None) -> None:
    assert nearest(name, names) == expected


def test_many_names_take_no_long_comparing() -> None:
    names = [f"node_number_{index}" for index in range(20_000)]
    start = time.perf_counter()
    assert nearest("node_numbr_5", names) is None
    assert nearest("NODE_NUMBER_5", names) == "node_number_5"
    assert time.perf_counter() - start < 2
