"""Upscaling networks: ESRGAN in its three layouts, Real-ESRGAN's compact one, SPAN."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from nodegraph.diffusion.models.upscaling import CompactConfig, RrdbConfig, SpanConfig
from nodegraph.diffusion.weights.family import Family, Part, ShapeError, Telltale, Tensors
from nodegraph.diffusion.weights.hints import Hints

PART = "upscaler"
WRAPPERS = ("params_ema.", "params.", "module.", "netG.")
"""What training tools put before every name."""

ORIGINAL = (
    (r"^RRDB_trunk\.(\d+)\.RDB(\d)\.", r"body.\1.rdb\2."),
    (r"^trunk_conv\.", "conv_body."),
    (r"^upconv(\d)\.", r"conv_up\1."),
    (r"^HRconv\.", "conv_hr."),
)
"""The names of ESRGAN's authors, and ours, which are those of their later Real-ESRGAN."""
DENSE = r"^model\.1\.sub\.(\d+)\.RDB(\d)\.conv(\d)\.0\."
"""Names of the oldest files, in which layers outside of the blocks are numbered."""


@dataclass(frozen=True)
class Upscaler(Part):
    """A part whose tensors are all that a file has, under names that need more than another beginning."""

    rename: Callable[[Tensors], Tensors] = dict

    def from_file(self, tensors: Tensors) -> Tensors:
        """Return its tensors under our names."""
        wrapper = next((start for start in WRAPPERS if all(name.startswith(start) for name in tensors)), "")
        return self.wanted(self.rename({name.removeprefix(wrapper): info for name, info in tensors.items()}))

    def from_folder(self, tensors: Tensors) -> Tensors:
        """Return none: there are no such folders."""
        return {}


def rrdb_names(tensors: Tensors) -> Tensors:
    """Return ESRGAN's tensors under our names, whichever of the three layouts they are in."""
    if "model.0.weight" in tensors:
        return _numbered_names(tensors)
    renamed = {}
    for name, info in tensors.items():
        for pattern, ours in ORIGINAL:
            name = re.sub(pattern, ours, name)
        renamed[name] = info
    return renamed


def _numbered_names(tensors: Tensors) -> Tensors:
    """Return the names of the oldest layout: `model.0`, blocks in `model.1`, a convolution for each doubling, two."""
    outer = sorted({int(found[1]) for name in tensors if (found := re.match(r"model\.(\d+)\.weight$", name))})
    blocks = sorted({int(found[1]) for name in tensors if (found := re.match(r"model\.1\.sub\.(\d+)\.", name))})
    starts = {f"model.{outer[0]}.": "conv_first."}
    if blocks:
        starts[f"model.1.sub.{blocks[-1]}."] = "conv_body."
    doublings, last = outer[1:-2], outer[-2:]
    starts |= {f"model.{place}.": f"conv_up{index}." for index, place in enumerate(doublings, 1)}
    starts |= {f"model.{place}.": name for place, name in zip(last, ("conv_hr.", "conv_last."), strict=False)}
    renamed = {}
    for name, info in tensors.items():
        ours = re.sub(DENSE, r"body.\1.rdb\2.conv\3.", name)
        for start, replacement in starts.items():
            if ours.startswith(start):
                ours = replacement + ours.removeprefix(start)
                break
        renamed[ours] = info
    return renamed


def rrdb_config(tensors: Tensors, hints: Hints) -> RrdbConfig:
    """Read ESRGAN's configuration; more input than output channels are packed pixels."""
    channels, packed = _shape(tensors, "conv_first.weight")[:2]
    outputs = _shape(tensors, "conv_last.weight")[0]
    shuffle = _root(packed / outputs, "conv_first.weight") if packed % outputs == 0 else 1
    return RrdbConfig(
        in_channels=packed // shuffle**2,
        out_channels=outputs,
        channels=channels,
        growth=_shape(tensors, "body.0.rdb1.conv1.weight")[0],
        blocks=_count(tensors, "body.{}.rdb1.conv1.weight", 0),
        doublings=_count(tensors, "conv_up{}.weight", 1),
        shuffle=shuffle,
    )


def compact_config(tensors: Tensors, hints: Hints) -> CompactConfig:
    """Read the compact network's configuration."""
    channels, inputs = _shape(tensors, "body.0.weight")[:2]
    last = max(int(found[1]) for name in tensors if (found := re.match(r"body\.(\d+)\.weight$", name)))
    scale = _root(_shape(tensors, f"body.{last}.weight")[0] / inputs, f"body.{last}.weight")
    return CompactConfig(inputs, inputs, channels, (last - 2) // 2, scale)


def span_names(tensors: Tensors) -> Tensors:
    """Return SPAN's tensors without the fused copies that stand beside the stages they were made of."""
    staged = "conv_1.sk.weight" in tensors
    return {name: info for name, info in tensors.items() if not (staged and ".eval_conv." in name)}


def span_config(tensors: Tensors, hints: Hints) -> SpanConfig:
    """Read SPAN's configuration; a tensor `no_norm` tells that colours are taken as they are."""
    fused = "conv_1.sk.weight" not in tensors
    channels, inputs = _shape(tensors, "conv_1.eval_conv.weight" if fused else "conv_1.sk.weight")[:2]
    return SpanConfig(
        in_channels=inputs,
        out_channels=inputs,
        channels=channels,
        gain=2 if fused else _shape(tensors, "conv_1.conv.0.weight")[0] // inputs,
        scale=_root(_shape(tensors, "upsampler.0.weight")[0] / inputs, "upsampler.0.weight"),
        normalised="no_norm" not in tensors,
        fused=fused,
    )


RRDB = Family(
    name="rrdb",
    title="ESRGAN",
    parts=(
        Upscaler(
            name=PART,
            title="upscaling network",
            prefixes=(("", ""),),
            folder="",
            from_diffusers=dict,
            configure=rrdb_config,
            network="nodegraph.diffusion.models.rrdb:Rrdb",
            rename=rrdb_names,
        ),
    ),
    has_all=(
        Telltale(PART, "conv_first.weight", (None, None, 3, 3)),
        Telltale(PART, "body.0.rdb1.conv5.weight", (None, None, 3, 3)),
        Telltale(PART, "conv_last.weight", (None, None, 3, 3)),
    ),
)

COMPACT = Family(
    name="compact",
    title="Real-ESRGAN compact",
    parts=(
        Upscaler(
            name=PART,
            title="upscaling network",
            prefixes=(("", ""),),
            folder="",
            from_diffusers=dict,
            configure=compact_config,
            network="nodegraph.diffusion.models.compact:Compact",
        ),
    ),
    has_all=(
        Telltale(PART, "body.0.weight", (None, None, 3, 3)),
        Telltale(PART, "body.1.weight", (None,)),
        Telltale(PART, "body.2.weight", (None, None, 3, 3)),
    ),
)

SPAN = Family(
    name="span",
    title="SPAN",
    parts=(
        Upscaler(
            name=PART,
            title="upscaling network",
            prefixes=(("", ""),),
            folder="",
            from_diffusers=dict,
            configure=span_config,
            network="nodegraph.diffusion.models.span:Span",
            rename=span_names,
        ),
    ),
    has_all=(
        Telltale(PART, "conv_cat.weight", (None, None, 1, 1)),
        Telltale(PART, "upsampler.0.weight", (None, None, 3, 3)),
    ),
    has_any=(
        Telltale(PART, "block_1.c1_r.sk.weight", (None, None, 1, 1)),
        Telltale(PART, "block_1.c1_r.eval_conv.weight", (None, None, 3, 3)),
    ),
)

UPSCALERS = (RRDB, COMPACT, SPAN)
"""A file is of the first that fits."""


def _shape(tensors: Tensors, key: str) -> tuple[int, ...]:
    if key not in tensors or len(tensors[key].shape) != 4 or 0 in tensors[key].shape:
        raise ShapeError(f"no {key} of four dimensions")
    return tensors[key].shape


def _count(tensors: Tensors, pattern: str, first: int) -> int:
    return next(index for index in count(first) if pattern.format(index) not in tensors) - first


def _root(ratio: float, key: str) -> int:
    root = math.isqrt(int(ratio))
    if root < 1 or root**2 != ratio:
        raise ShapeError(f"{key}: {ratio:g} times the channels of a picture is no square of a whole factor")
    return root
