"""Weights in the order in which oneDNN multiplies them, put so once where a network is brought, not at each call.

On a CPU a fifth of a step goes into reordering weights otherwise. The operators are those that torch's compiler
calls; where they are not there, or do not give what the plain ones give, nothing is packed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nodegraph.diffusion.memory import packed_ops

DTYPES = (torch.bfloat16, torch.float32)
LEAST = 2**16
"""Elements of the smallest weight for which it is worth it."""
SIDE = 14
"""What a feature map's side is taken to be, in kernels: oneDNN's own guess where none is told."""


@dataclass(frozen=True)
class Packer:
    """Packs the weight of a layer."""

    layer: nn.Conv2d | nn.Linear

    @property
    def format(self) -> torch.memory_format:
        """The order of memory in which it wants the weight."""
        return format_of(self.layer)

    def __call__(self, weight: Tensor) -> Tensor:
        """Return the weight packed, as memory of its own."""
        return _packed(self.layer, weight)


def packers(module: nn.Module, device: torch.device, dtype: torch.dtype) -> dict[str, Packer]:
    """Return what packs the weights of a module for which that helps on a device and at a precision, by name."""
    found = {name: Packer(layer) for name, layer in packable(module) if fits(layer.weight, device, dtype)}
    return found if found and available() else {}


def format_of(layer: nn.Module) -> torch.memory_format:
    """Return the order of memory from which oneDNN brings a layer's weight into its own fastest, ten times as fast."""
    convolves = isinstance(layer, nn.Conv2d) and not _is_linear(layer)
    return torch.channels_last if convolves else torch.contiguous_format


def packable(module: nn.Module) -> Iterator[tuple[str, nn.Conv2d | nn.Linear]]:
    """Yield the layers whose weights can be packed, each with its weight's name."""
    for path, layer in module.named_modules():
        if type(layer) in LINEAR or (type(layer) in CONVOLUTIONS and _is_plain(layer)):
            yield f"{path}.weight" if path else "weight", layer


def _is_plain(layer: nn.Conv2d) -> bool:
    return layer.groups == 1 and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)


def fits(weight: Tensor, device: torch.device, dtype: torch.dtype) -> bool:
    """Tell whether packing helps a weight on a device and at a precision."""
    return device.type == "cpu" and dtype in DTYPES and weight.numel() >= LEAST


def use(layer: nn.Module, weight: Tensor | None) -> None:
    """Have a layer use a packed weight, or its plain one again (None)."""
    plain = nn.Linear if isinstance(layer, nn.Linear) else nn.Conv2d
    layer.__dict__.pop("packed", None)
    if weight is None:
        layer.__class__ = plain
        return
    cells = isinstance(layer, nn.Conv2d) and _is_linear(layer)
    layer.__class__ = PackedCells if cells else PACKED[plain]
    layer.packed = weight  # no parameter: what is saved and patched is the plain weight


def is_packed(layer: nn.Module) -> bool:
    """Tell whether a layer uses a packed weight."""
    return "packed" in layer.__dict__


class PackedLinear(nn.Linear):
    """A linear layer that multiplies by its packed weight."""

    packed: Tensor

    def forward(self, input: Tensor) -> Tensor:
        """Map (..., in) to (..., out)."""
        return _multiplied(input, self.packed, self.bias)


class PackedConv(nn.Conv2d):
    """A convolution by its packed weight."""

    packed: Tensor

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, in, H, W) to (B, out, h, w)."""
        call = torch.ops.nodegraph.packed_conv if torch.compiler.is_compiling() else packed_ops.conv
        padding = cast(tuple[int, int], self.padding)
        out: Tensor = call(input, self.packed, self.bias, padding, self.stride, self.dilation)
        return out


class PackedCells(nn.Conv2d):
    """A convolution of single cells, done as a linear layer."""

    packed: Tensor

    def forward(self, input: Tensor) -> Tensor:
        """Map (B, in, H, W) to (B, out, H, W); the input's cells are a view where it is channels_last."""
        return _multiplied(input.movedim(1, -1).contiguous(), self.packed, self.bias).movedim(-1, 1)


PACKED: dict[type[nn.Module], type[nn.Module]] = {nn.Linear: PackedLinear, nn.Conv2d: PackedConv}
LINEAR = (nn.Linear, PackedLinear)
CONVOLUTIONS = (nn.Conv2d, PackedConv, PackedCells)


def _multiplied(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    call = torch.ops.nodegraph.packed_linear if torch.compiler.is_compiling() else packed_ops.linear
    out: Tensor = call(x, weight, bias)
    return out


def _is_linear(layer: nn.Conv2d) -> bool:
    """Tell whether a convolution works cell by cell; packed as one, it would be slow at all sizes but one."""
    return layer.kernel_size == (1, 1) and layer.stride == (1, 1) and layer.padding == (0, 0)


def _packed(layer: nn.Conv2d | nn.Linear, weight: Tensor) -> Tensor:
    found: Tensor
    if isinstance(layer, nn.Conv2d) and not _is_linear(layer):
        options = (layer.padding, layer.stride, layer.dilation, 1)
        input_size = (1, layer.in_channels, *(SIDE * side for side in layer.kernel_size))
        found = torch.ops.mkldnn._reorder_convolution_weight(weight, *options, input_size)
    else:
        found = torch.ops.mkldnn._reorder_linear_weight(weight.flatten(1).contiguous())
    return found


@cache
def available() -> bool:
    """Tell whether the operators are there and right."""
    if not (torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled):
        return False
    draws = torch.Generator().manual_seed(0)
    weight = torch.randn(16, 16, 3, 3, generator=draws).bfloat16()
    x = torch.randn(1, 16, 5, 5, generator=draws).bfloat16()
    try:
        conv, linear = nn.Conv2d(16, 16, 3, padding=1, bias=False), nn.Linear(5, 16, bias=False)
        flat = weight[:, :5, 0, 0]
        use(conv, _packed(conv, weight))
        use(linear, _packed(linear, flat))
        with torch.inference_mode():
            got, line = conv(x), linear(x)
    except (AttributeError, RuntimeError, TypeError):  # another version of torch, or a build without it
        return False
    close = torch.allclose(got.float(), F.conv2d(x.float(), weight.float(), padding=1), atol=0.2, rtol=0.05)
    return close and torch.allclose(line.float(), F.linear(x.float(), flat.float()), atol=0.2, rtol=0.05)
