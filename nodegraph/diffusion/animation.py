"""Pictures in a row as one moving picture: WEBP and animated PNG."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from nodegraph.diffusion.images import to_pillow

WebpMethod = Literal["default", "fastest", "slowest"]
EFFORT: Final = {"default": 4, "fastest": 0, "slowest": 6}
_MODEL, _MAKE = 0x0110, 0x010F
"""EXIF fields: ComfyUI puts the prompt in the first and counts down from the second for all else."""


def write_webp(
    path: Path, frames: Tensor, fps: float, *, lossless: bool, quality: int, method: WebpMethod, text: Mapping[str, str]
) -> None:
    """Write frames (B, H, W, C) in [0, 1]; `text` stands in the EXIF data as `key:value`."""
    pictures = [to_pillow(frame) for frame in frames]
    exif = Pillow.Exif()
    others = [key for key in text if key != "prompt"]
    for field, key in zip(range(_MAKE, _MAKE - len(others), -1), others, strict=True):
        exif[field] = f"{key}:{text[key]}"
    if "prompt" in text:
        exif[_MODEL] = f"prompt:{text['prompt']}"
    pictures[0].save(
        path,
        format="WEBP",
        save_all=True,
        append_images=pictures[1:],
        duration=int(1000.0 / fps),
        loop=0,
        lossless=lossless,
        quality=quality,
        method=EFFORT[method],
        exif=exif,
    )


def write_apng(path: Path, frames: Tensor, fps: float, *, compress_level: int, text: Mapping[str, str]) -> None:
    """Write frames (B, H, W, C) in [0, 1] with `text` chunks."""
    pictures = [to_pillow(frame) for frame in frames]
    chunks = PngInfo()
    for key, value in text.items():
        chunks.add_text(key, value)
    pictures[0].save(
        path,
        format="PNG",
        save_all=True,
        append_images=pictures[1:],
        duration=int(1000.0 / fps),
        compress_level=compress_level,
        pnginfo=chunks,
    )
