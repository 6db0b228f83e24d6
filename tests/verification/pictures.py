"""What the tests of verification make pictures of, and how they change them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image as Pillow
from PIL.PngImagePlugin import PngInfo

from nodegraph.engine.spec import Json
from nodegraph.verification.report import Report

Make = Callable[..., list[Path]]
Verify = Callable[..., list[Report]]
NOISE: dict[str, Json] = {
    "plain": {"type": "EmptyImage", "params": {"width": 8, "height": 6, "batch_size": 2, "color": 0x808080}},
    "noise": {"type": "ImageAddNoise", "params": {"seed": 3, "strength": 0.5}, "links": {"image": "plain.out"}},
    "save": {"type": "SaveImage", "params": {"filename_prefix": "noise"}, "links": {"images": "noise.out"}},
}


def edit(path: Path, change: Callable[[dict[str, Any]], object], *, pixel: bool = False) -> Path:
    """Write a picture anew with other texts, and with one pixel changed; return it."""
    with Pillow.open(path) as file:
        file.load()
        texts: dict[str, Any] = {str(key): json.loads(text) for key, text in file.info.items()}
        picture = file.copy()
    change(texts)
    if pixel:
        red, green, blue = picture.getpixel((2, 3))  # type: ignore[misc]
        picture.putpixel((2, 3), ((red + 7) % 256, green, blue))
    chunks = PngInfo()
    for key, value in texts.items():
        chunks.add_text(key, value if isinstance(value, str) else json.dumps(value))
    picture.save(path, pnginfo=chunks)
    return path
