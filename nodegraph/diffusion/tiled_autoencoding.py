"""Pictures to latents and back in tiles, so that the autoencoder takes no more memory than a tile needs."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from nodegraph.diffusion.autoencoding import decode, encode
from nodegraph.diffusion.memory.shortage import first_that_fits
from nodegraph.diffusion.tiling import Grid, Tell, tile_attempts, tiled
from nodegraph.diffusion.values import Vae

TILE, SMALLEST, OVERLAP = 512, 128, 64
"""Pixels a side of the first tiles and of the smallest, where memory ran out, and of what they share."""


def encode_tiled(
    vae: Vae,
    pixels: Tensor,
    tile: int,
    overlap: int,
    *,
    tell: Tell = lambda *_: None,
    check: Callable[[], object] = lambda: None,
) -> Tensor:
    """Return latents as `encode` does; `tile` and `overlap` are in pixels, `tell` hears of each tile."""
    cell = vae.downscale
    height, width = (side // cell * cell for side in pixels.shape[1:3])
    if not height or not width:
        return encode(vae, pixels)  # which tells what is wrong
    top, left = (pixels.shape[1] - height) // 2, (pixels.shape[2] - width) // 2
    planes = pixels[:, top : top + height, left : left + width].movedim(-1, 1)
    return tiled(
        lambda part: encode(vae, part.movedim(1, -1), check), planes, _grid(tile, overlap, cell, cell, 1), tell=tell
    )


def decode_tiled(
    vae: Vae,
    samples: Tensor,
    tile: int,
    overlap: int,
    *,
    tell: Tell = lambda *_: None,
    check: Callable[[], object] = lambda: None,
) -> Tensor:
    """Return pixels as `decode` does; `tile` and `overlap` are in pixels, `tell` hears of each tile."""
    cell = vae.downscale
    grid = _grid(tile, overlap, cell, 1, cell)
    planes = tiled(lambda part: decode(vae, part, check).movedim(-1, 1), samples, grid, tell=tell)
    return planes.movedim(1, -1).contiguous()


def encode_within_memory(
    vae: Vae, pixels: Tensor, check: Callable[[], object] = lambda: None, said: Callable[[str], object] = lambda _: None
) -> Tensor:
    """Return latents as `encode` does, in tiles where memory runs out; `said` hears of it."""
    smaller = tile_attempts(lambda side: encode_tiled(vae, pixels, side, OVERLAP, check=check), TILE, SMALLEST)
    attempts = [("in one piece", lambda: encode(vae, pixels, check)), *smaller]
    return first_that_fits("encoding the picture", vae.network.device, attempts, said)


def decode_within_memory(
    vae: Vae,
    samples: Tensor,
    check: Callable[[], object] = lambda: None,
    said: Callable[[str], object] = lambda _: None,
) -> Tensor:
    """Return pixels as `decode` does, in tiles where memory runs out; `said` hears of it."""
    smaller = tile_attempts(lambda side: decode_tiled(vae, samples, side, OVERLAP, check=check), TILE, SMALLEST)
    attempts = [("in one piece", lambda: decode(vae, samples, check)), *smaller]
    return first_that_fits("decoding the latent", vae.network.device, attempts, said)


def _grid(tile: int, overlap: int, cell: int, inner: int, outer: int) -> Grid:
    """Return the grid in cells; an overlap of more than a quarter of the tile is cut to that."""
    overlap = min(overlap, tile // 4)
    return Grid(max(1, tile // cell), overlap // cell, inner, outer)
