"""Latents on their way as a tiny autoencoder decodes them, where a file for them is among the `vae_approx`."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from nodegraph.diffusion.values import LatentFormat, LatentPreview

if TYPE_CHECKING:
    from torch import Tensor

    from nodegraph.diffusion.values import Vae
    from nodegraph.engine.folders import Folders

log = logging.getLogger(__name__)
PreviewKind = Literal["auto", "colors", "taesd", "none"]
"""How latents are shown: `taesd` decodes them; `colors` tells their layout; `auto` decodes them on a GPU."""
KIND: Final = "vae_approx"
MOST_CELLS: Final = {"cpu": 24}
"""Latent cells along the longer side of what is decoded on a device; larger latents are made smaller first."""
USUAL_CELLS: Final = 64


@dataclass(frozen=True)
class Decoded:
    """Pixels (H, W, 3) in [0, 1] on the CPU, and the seconds that they took."""

    pixels: Tensor
    seconds: float


class TinyPreviews:
    """Decodes latents in the place where jobs run (`device`, None: the machine's default)."""

    def __init__(self, folders: Folders, device: str | None, kind: PreviewKind) -> None:
        self._folders, self._device, self.kind = folders, device, kind
        self._known: dict[LatentFormat, Vae | None] = {}
        self._warm: set[LatentFormat] = set()

    def forget(self) -> None:
        """Look for files anew for what none was found."""
        self._known = {format: vae for format, vae in self._known.items() if vae is not None}

    def decoded(self, value: object) -> Decoded | None:
        """Return the first picture of a latent on its way; None for another value, or where nothing decodes it."""
        if self.kind not in ("auto", "taesd") or not isinstance(value, LatentPreview):
            return None
        if value.format not in self._known:
            self._known[value.format] = self._found(value.format)
        vae = self._known[value.format]
        if vae is None:
            return None
        try:
            if value.format not in self._warm:  # what the first time takes says nothing about the others
                self._decoded(vae, value.samples[0])
                self._warm.add(value.format)
            return self._decoded(vae, value.samples[0])
        except Exception:
            self._known[value.format] = None  # at the next job it is tried again
            log.exception("the tiny autoencoder for previews failed")
            return None

    def _found(self, format: LatentFormat) -> Vae | None:
        from nodegraph.diffusion.devices import default_device, parse_device
        from nodegraph.diffusion.tiny import load_tiny_vae
        from nodegraph.diffusion.weights.errors import WeightsError
        from nodegraph.diffusion.weights.layouts.taesd import decoder_name

        device = default_device() if self._device is None else parse_device(self._device)
        if KIND not in self._folders.kinds or (self.kind == "auto" and device.type == "cpu"):
            return None
        name = decoder_name(format, self._folders.names(KIND))
        if name is None:
            return None
        try:
            return load_tiny_vae([self._folders.path(KIND, name)], device=str(device), latent=format)
        except WeightsError as error:
            log.warning("no previews by %s: %s", name, error)
            return None

    def _decoded(self, vae: Vae, samples: Tensor) -> Decoded:
        from torch.nn.functional import adaptive_avg_pool2d

        from nodegraph.diffusion.tiny import tiny_picture

        began = time.perf_counter()
        most = MOST_CELLS.get(vae.network.device.type, USUAL_CELLS)
        longest = max(samples.shape[1:])
        if longest > most:
            height, width = (max(1, round(side * most / longest)) for side in samples.shape[1:])
            samples = adaptive_avg_pool2d(samples.float(), (height, width))
        pixels = tiny_picture(vae, samples.to(vae.network.device)).cpu()
        return Decoded(pixels, time.perf_counter() - began)
