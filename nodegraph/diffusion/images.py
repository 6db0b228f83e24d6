"""Pictures: files in and out, sizes, and the 8-bit form that files hold."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image as Pillow
from PIL import ImageOps, ImageSequence
from PIL.PngImagePlugin import PngInfo
from torch import Tensor
from torch.nn import functional

Resampling = Literal["nearest-exact", "bilinear", "area", "bicubic", "lanczos", "bislerp"]
Crop = Literal["disabled", "center"]
_Rgba = np.ndarray[tuple[int, ...], np.dtype[np.uint8 | np.float32]]

MOST_PIXELS = 512 * 2**20 // 3
"""Pixels that the frames of a file may have in all: Pillow's own limit for a single one, 512 MiB of RGB."""


class ImageFileError(ValueError):
    """A file that is not a readable picture."""


def read_image(path: Path) -> tuple[Tensor, Tensor]:
    """Read a picture, turned as its EXIF orientation says.

    Returns pixels (B, H, W, 3) float32 in [0, 1] and a mask (B, H, W): 1 - alpha, or 0 where there is no alpha. B
    counts the frames of the first one's size. Raises `ImageFileError`, which names the file, for what is no picture
    and for one of more than `MOST_PIXELS`.
    """
    try:
        frames = _read_frames(path)
    except ImageFileError:
        raise
    except Exception as error:  # on damaged files Pillow's decoders raise anything: KeyError, struct.error, TypeError
        raise ImageFileError(f"{path}: not a readable picture ({type(error).__name__}: {error})") from error
    height, width = frames[0].shape[:2]
    pixels, mask = torch.empty(len(frames), height, width, 3), torch.empty(len(frames), height, width)
    for index, frame in enumerate(frames):
        rgba, peak = torch.from_numpy(frame), 255.0 if frame.dtype == np.uint8 else 1.0
        torch.div(rgba[..., :3], peak, out=pixels[index])
        torch.div(peak - rgba[..., 3], peak, out=mask[index])
    return pixels, mask


def _read_frames(path: Path) -> list[_Rgba]:
    """Return the frames of the first one's size (H, W, 4), at least one; the size is checked before any is decoded."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Pillow.DecompressionBombWarning)  # the limit is ours
        with Pillow.open(path) as file:
            size, count = file.size, getattr(file, "n_frames", 1)
            if math.prod(size) * count > MOST_PIXELS:
                shown = f"{size[0]} x {size[1]}" + (f" in {count} frames" if count > 1 else "")
                raise ImageFileError(f"{path}: got {shown}, expected at most {MOST_PIXELS:,} pixels in all")
            fitting = (frame for frame in islice(ImageSequence.Iterator(file), count) if frame.size == size)
            frames = [_to_rgba(ImageOps.exif_transpose(frame)) for frame in fitting]
    shape = frames[0].shape
    return [frame for frame in frames if frame.shape == shape]  # each frame is turned as its own orientation says


def _to_rgba(frame: Pillow.Image) -> _Rgba:
    """Return (H, W, 4): uint8 of what has 8 bits, else float32 in [0, 1], which Pillow would clip at 255."""
    if frame.mode != "F" and not frame.mode.startswith("I"):
        return np.array(frame.convert("RGBA"))
    grey = np.nan_to_num(np.asarray(frame, dtype=np.float32))
    if frame.mode.startswith("I;16") or (frame.mode == "I" and grey.max() > 255.0):
        grey /= 65535.0
    elif frame.mode == "I":
        grey /= 255.0
    return np.stack([grey, grey, grey, np.ones_like(grey)], axis=-1).clip(0.0, 1.0)


def to_bytes(pixels: Tensor) -> Tensor:
    """Return pixels in [0, 1] as uint8 of the same shape, cut off, not rounded, as the field's tools do."""
    return (pixels * 255.0).clamp_(0.0, 255.0).to(torch.uint8)


def to_pillow(pixels: Tensor) -> Pillow.Image:
    """Return one picture (H, W, C) in [0, 1] as a Pillow image: L, RGB or RGBA by its channels."""
    array = to_bytes(pixels.detach().cpu()).numpy()
    return Pillow.fromarray(array[..., 0] if array.shape[-1] == 1 else array)


def write_png(path: Path, pixels: Tensor, text: Mapping[str, str] | None = None) -> None:
    """Write one picture (H, W, C) in [0, 1] as a PNG with `text` chunks."""
    chunks = PngInfo()
    for key, value in (text or {}).items():
        chunks.add_text(key, value)
    to_pillow(pixels).save(path, format="PNG", pnginfo=chunks, compress_level=4)


def resize(samples: Tensor, width: int, height: int, method: Resampling, crop: Crop = "disabled") -> Tensor:
    """Resize (B, C, H, W) to `height` x `width`; with crop "center" the longer side is cut first to keep the shape."""
    if crop == "center":
        samples = _crop_to_ratio(samples, width / height)
    if samples.shape[-2:] == (height, width):
        return samples
    if method == "lanczos":
        return _lanczos(samples, width, height)
    if method == "bislerp":
        return _bislerp(samples, width, height)
    return functional.interpolate(samples, size=(height, width), mode=method)


def free_side(old: Sequence[int], width: int, height: int, least: int = 1) -> tuple[int, int]:
    """Return (width, height) where a side given as 0 follows from `old` (height, width), so that the shape stays."""
    if width == 0 and height == 0:
        return old[1], old[0]
    if width == 0:
        return max(least, round(old[1] * height / old[0])), max(least, height)
    if height == 0:
        return max(least, width), max(least, round(old[0] * width / old[1]))
    return max(least, width), max(least, height)


def _crop_to_ratio(samples: Tensor, ratio: float) -> Tensor:
    height, width = samples.shape[-2:]
    x = round((width - height * ratio) / 2) if width / height > ratio else 0
    y = round((height - width / ratio) / 2) if width / height < ratio else 0
    x, y = min(x, (width - 1) // 2), min(y, (height - 1) // 2)  # a row and a column stay at any ratio
    return samples[..., y : height - y, x : width - x]


def _lanczos(samples: Tensor, width: int, height: int) -> Tensor:
    planes = samples.detach().float().cpu().flatten(0, 1)  # (B*C, H, W)
    out = torch.empty(*samples.shape[:2], height, width)
    for plane, resized in zip(planes, out.flatten(0, 1), strict=True):
        picture = Pillow.fromarray(plane.numpy()).resize((width, height), Pillow.Resampling.LANCZOS)
        resized.copy_(torch.from_numpy(np.array(picture)))
    return out.clamp_(0.0, 1.0).to(samples)


def _bislerp(samples: Tensor, width: int, height: int) -> Tensor:
    """Interpolate the channel vectors on the sphere between them, so that latents keep their norm."""
    rows = _slerp_axis(samples.float().movedim(1, -1), width, dim=2)  # (B, H, width, C)
    return _slerp_axis(rows, height, dim=1).movedim(-1, 1).to(samples.dtype)


def _slerp_axis(vectors: Tensor, size: int, dim: int) -> Tensor:
    old = vectors.shape[dim]
    place = ((torch.arange(size, device=vectors.device) + 0.5) * (old / size) - 0.5).clamp_(0, old - 1)
    low = place.floor().long()
    high = (low + 1).clamp_(max=old - 1)
    shape = [1] * vectors.ndim
    shape[dim] = size
    return _slerp(vectors.index_select(dim, low), vectors.index_select(dim, high), (place - low).view(shape))


def _slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    norm_a, norm_b = a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True)
    cosine = (a * b).sum(-1, keepdim=True) / (norm_a * norm_b).clamp_min(1e-12)
    angle = cosine.clamp(-1.0, 1.0).acos()
    sine = angle.sin()
    arc = ((1 - t) * angle).sin() / sine * (a / norm_a) + (t * angle).sin() / sine * (b / norm_b)
    flat = (cosine.abs() > 0.9999) | (norm_a < 1e-12) | (norm_b < 1e-12)  # the arc is undefined or a straight line
    return torch.where(flat, a.lerp(b, t), arc * (norm_a * (1 - t) + norm_b * t))
