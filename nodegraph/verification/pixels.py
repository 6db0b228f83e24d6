"""Compares pictures as files hold them: 8 bits a channel."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from nodegraph.verification.report import CannotVerifyError, Pixels

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[tuple[int, ...], np.dtype[np.uint8]]


def read_pixels(path: Path) -> Array:
    """Return a picture's frames as (B, H, W, 4): red, green, blue, alpha."""
    import numpy as np

    from nodegraph.diffusion.images import ImageFileError, read_image

    try:
        pixels, mask = read_image(path)
    except ImageFileError as error:
        raise CannotVerifyError(str(error)) from error
    frames = np.empty((*mask.shape, 4), np.uint8)
    frames[..., :3] = (pixels * 255.0).round_().numpy()
    frames[..., 3] = ((1.0 - mask) * 255.0).round_().numpy()
    return frames


def compare(then: Array, now: Array) -> Pixels:
    """Tell how two pictures differ."""
    import numpy as np

    frames, height, width = then.shape[:3]
    if then.shape != now.shape:
        new = f"{now.shape[2]} x {now.shape[1]}" + (f" in {now.shape[0]} frames" if now.shape[0] > 1 else "")
        return Pixels((width, height), frames, other=new)
    off = np.abs(then.astype(np.int16) - now)  # (B, H, W, 4)
    differs = off.any(axis=-1)
    if not differs.any():
        return Pixels((width, height), frames)
    columns, rows = np.flatnonzero(differs.any(axis=(0, 1))), np.flatnonzero(differs.any(axis=(0, 2)))
    left, top = int(columns[0]), int(rows[0])
    channels = off if off[..., 3].any() else off[..., :3]  # alpha that is nowhere used counts for nothing
    error = float(np.square(channels.astype(np.float64)).mean())
    return Pixels(
        (width, height),
        frames,
        differing=int(differs.sum()),
        largest=int(off.max()),
        mean=float(channels.mean()),
        psnr=10.0 * math.log10(255.0**2 / error),
        box=(left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1),
        differing_frames=tuple(int(index) for index in np.flatnonzero(differs.any(axis=(1, 2)))),
    )


def write_difference(path: Path, then: Array, now: Array) -> None:
    """Write a grey picture of the largest difference of each pixel, all frames together, its largest one white."""
    import numpy as np
    from PIL import Image as Pillow

    off = np.abs(then.astype(np.int16) - now).max(axis=(0, -1))  # (H, W)
    Pillow.fromarray((off * (255.0 / max(1, int(off.max())))).astype(np.uint8)).save(path, format="PNG")
