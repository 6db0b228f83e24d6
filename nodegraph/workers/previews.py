"""What a node shows while it runs, as pictures for a browser: encoded beside the work, the newest only."""

from __future__ import annotations

import io
import logging
import math
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from nodegraph.diffusion.values import Image, Latent, LatentFormat, LatentPreview, Mask
from nodegraph.diffusion.weights.layouts.sd1 import SD1
from nodegraph.workers.channel import INTERVAL, Channel
from nodegraph.workers.hooks import Encoded
from nodegraph.workers.tiny_previews import TinyPreviews

if TYPE_CHECKING:
    from PIL.Image import Image as Picture
    from torch import Tensor

log = logging.getLogger(__name__)
LARGEST: Final = 512
"""Pixels of a preview's longer edge."""
USUAL: Final = SD1.latent
"""What a latent of which nobody tells the format is taken for."""
SHARE: Final = 0.02
"""Of the time that passes, what decoding previews may take."""
LONGEST_PAUSE: Final = 60.0
"""Seconds between two previews at most."""


def encode(value: object) -> Encoded | None:
    """Encode a picture, mask, latent or Pillow image; None for anything else."""
    picture = _picture(value)
    return None if picture is None else _encoded(picture)


def _encoded(picture: Picture) -> Encoded:
    if max(picture.size) > LARGEST:
        picture.thumbnail((LARGEST, LARGEST))
    target = io.BytesIO()
    picture.convert("RGB").save(target, format="JPEG", quality=80, subsampling=0)
    return Encoded("image/jpeg", picture.size[0], picture.size[1], target.getvalue())


def _picture(value: object) -> Picture | None:
    pillow = sys.modules.get("PIL.Image")  # who gives a Pillow image has imported it
    if pillow is not None and isinstance(value, pillow.Image):
        return value.copy()  # type: ignore[no-any-return]
    if isinstance(value, Image):
        return _of_pixels(value.pixels[0, ..., :3])
    if isinstance(value, Mask):
        return _of_pixels(value.values[0, ..., None])
    if isinstance(value, Latent):
        format = value.format if isinstance(value, LatentPreview) else USUAL
        return _of_pixels(latent_rgb(value.samples[0], format))
    return None


def latent_rgb(samples: Tensor, format: LatentFormat) -> Tensor:
    """Return colours (h, w, 3) in [0, 1] that tell what a latent (C, h, w) will look like.

    Where the format has no colours for that many channels, the first three, spread over the range, are shown.
    """
    import torch

    samples = samples.detach().to("cpu", torch.float32)
    if samples.shape[0] + 1 == len(format.colors):
        *channels, base = torch.tensor(format.colors)
        seen = (samples - format.shift) * format.scale
        shown: Tensor = torch.einsum("chw,cr->hwr", seen, torch.stack(channels)) + base
        return (shown + 1) / 2
    first = samples[:3].movedim(0, -1)
    rgb = first if first.shape[-1] == 3 else first[..., :1].expand(-1, -1, 3)
    low, high = rgb.amin(), rgb.amax()
    return (rgb - low) / (high - low).clamp(min=1e-6)


def _of_pixels(pixels: Tensor) -> Picture:
    import torch
    from PIL import Image as Pillow

    small = max(1, max(pixels.shape[:2]) // (2 * LARGEST))
    pixels = pixels[::small, ::small].detach().to("cpu", torch.float32)
    array = (pixels.nan_to_num().clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return Pillow.fromarray(array[..., 0] if array.shape[-1] == 1 else array)


class Previews:
    """Encodes the newest value of each node in a thread and sends it, at most once an interval; off at first.

    Latents are shown as `tiny` decodes them, so rarely that it takes no more than `SHARE` of the time.
    """

    def __init__(self, channel: Channel, hook: Callable[..., Encoded | None], tiny: TinyPreviews | None = None) -> None:
        self._channel, self._hook, self._tiny = channel, hook, tiny
        self._change = threading.Condition()
        self._values: dict[tuple[str, str], Any] = {}
        self._shown: dict[tuple[str, str], float] = {}
        self._pause = INTERVAL
        self._never = tiny is not None and tiny.kind == "none"
        self.on = False
        threading.Thread(target=self._work, name="previews", daemon=True).start()

    def show(self, job: str, node: str, value: Any) -> None:
        """Show a value soon, unless a newer one comes before."""
        if self.on and not self._never:
            with self._change:
                self._values[job, node] = value
                self._change.notify()

    def forget(self, job: str, node: str | None = None) -> None:
        """Show nothing more of a node, or of a whole job."""
        if node is None and self._tiny is not None:
            self._tiny.forget()
        with self._change:
            for key in [key for key in (*self._values, *self._shown) if key[0] == job and node in (None, key[1])]:
                self._values.pop(key, None)
                self._shown.pop(key, None)

    def _work(self) -> None:
        while True:
            key, value = self._next()
            encoded = self._encoded(key[1], value)
            del value
            if encoded is not None:
                self._send(key, encoded)

    def _send(self, key: tuple[str, str], encoded: Encoded) -> None:
        job, node = key
        header = {"tell": "preview", "job": job, "node": node, "media": encoded.media}
        size = {"width": encoded.width, "height": encoded.height}
        with self._change:
            if self.on and key in self._shown:  # its node may have ended meanwhile
                self._channel.latest(("preview", job, node), {**header, **size}, encoded.data)

    def _encoded(self, node: str, value: Any) -> Encoded | None:
        encoders: tuple[Callable[..., Encoded | None], ...] = (self._hook, self._decoded, encode)
        for encoder in encoders:
            try:
                found = encoder(value=value)
            except Exception:  # a preview less, or one that is not the plugin's; the job goes on
                log.exception("a preview of the node %s cannot be encoded", node)
                continue
            if found is not None:
                return found
        return None

    def _decoded(self, value: Any) -> Encoded | None:
        """Encode what the tiny autoencoder makes of a latent, and keep it from taking too much of the time."""
        self._pause = INTERVAL
        decoded = None if self._tiny is None else self._tiny.decoded(value)
        if decoded is None:
            return None
        self._pause = min(max(INTERVAL, decoded.seconds / SHARE), LONGEST_PAUSE)
        return _encoded(_of_pixels(decoded.pixels))

    def _next(self) -> tuple[tuple[str, str], Any]:
        with self._change:
            while True:
                now = time.monotonic()
                waits = {key: self._shown.get(key, -math.inf) + self._pause - now for key in self._values}
                key = min(waits, key=waits.__getitem__, default=None)
                if key is not None and waits[key] <= 0:
                    self._shown[key] = now
                    return key, self._values.pop(key)
                self._change.wait(None if key is None else waits[key])
