"""Multiplying by packed weights, as operators that torch's compiler leaves as they are: it takes oneDNN's own only with
weights that never change.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_library = torch.library.Library("nodegraph", "DEF")
_library.define("packed_linear(Tensor x, Tensor weight, Tensor? bias) -> Tensor")
_library.define(
    "packed_conv(Tensor x, Tensor weight, Tensor? bias, int[] padding, int[] stride, int[] dilation) -> Tensor"
)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Multiply x (..., in) by a packed weight (out, in)."""
    out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return out


Sides = Sequence[int]
"""A number for the height and one for the width."""


def conv(x: Tensor, weight: Tensor, bias: Tensor | None, padding: Sides, stride: Sides, dilation: Sides) -> Tensor:
    """Convolve x (B, in, H, W) by a packed weight (out, in, h, w)."""
    out: Tensor = torch.ops.mkldnn._convolution_pointwise(x, weight, bias, padding, stride, dilation, 1, "none", [], "")
    return out


def _linear_like(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty((*x.shape[:-1], weight.shape[0]))


def _conv_like(
    x: Tensor, weight: Tensor, bias: Tensor | None, padding: Sides, stride: Sides, dilation: Sides
) -> Tensor:
    sides = (
        (x.shape[axis] + 2 * pad - gap * (weight.shape[axis] - 1) - 1) // step + 1
        for axis, pad, step, gap in zip((2, 3), padding, stride, dilation, strict=True)
    )
    shape = (x.shape[0], weight.shape[0], *sides)
    return x.new_empty(shape).to(memory_format=torch.channels_last)


for _name, _call, _like in (("packed_linear", linear, _linear_like), ("packed_conv", conv, _conv_like)):
    _library.impl(_name, _call, "CPU")
    _library.impl(_name, _call, "MkldnnCPU")
    torch.library.register_fake(f"nodegraph::{_name}", _like, lib=_library)
