"""Work in tiles: the same as in one piece where tiles do not touch, less memory, smaller tiles when it runs out."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nodegraph.diffusion.autoencoding import decode, encode
from nodegraph.diffusion.loading import Loaded, load
from nodegraph.diffusion.memory.shortage import OutOfMemoryError, first_that_fits, is_out_of_memory
from nodegraph.diffusion.tiled_autoencoding import decode_tiled, encode_tiled
from nodegraph.diffusion.tiling import Grid, tile_attempts, tiled
from nodegraph.diffusion.values import Placed

HALVES = ("in tiles of 256", "in tiles of 128")


def planes(batch: int = 1, height: int = 40, width: int = 56, channels: int = 3) -> Tensor:
    return torch.rand(batch, channels, height, width, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def tiny(tiny_models: object) -> Loaded:
    from pathlib import Path

    return load(Path(str(tiny_models)) / "checkpoints" / "tiny.safetensors", device="cpu", dtype="fp32")


@pytest.mark.parametrize("length", [1, 7, 8, 9, 15, 16, 40])
@pytest.mark.parametrize(("tile", "overlap"), [(8, 0), (8, 2), (8, 7)])
def test_tiles_cover_a_side_without_leaving_it(length: int, tile: int, overlap: int) -> None:
    starts = Grid(tile, overlap).starts(length)
    ends = [min(start + tile, length) for start in starts]
    assert {place for start, end in zip(starts, ends, strict=True) for place in range(start, end)} == set(range(length))
    assert max(ends) == length
    assert len(starts) == len(set(starts))
    assert all(end - start >= min(overlap, length) for start, end in zip(starts[1:], ends, strict=False))


@pytest.mark.parametrize(("tile", "overlap"), [(16, 4), (16, 0), (64, 8), (11, 3)])
def test_what_looks_at_one_place_is_the_same_in_tiles(tile: int, overlap: int) -> None:
    x = planes(2)

    def larger(part: Tensor) -> Tensor:
        return functional.interpolate(part * 2 - 1, scale_factor=2.0, mode="nearest")

    assert torch.allclose(tiled(larger, x, Grid(tile, overlap, 1, 2)), larger(x), atol=1e-6)


def test_what_looks_around_is_the_same_where_it_saw_all_it_needs() -> None:
    x, line = planes(channels=1), torch.ones(1, 1, 5, 5) / 25

    def blurred(part: Tensor) -> Tensor:
        return functional.conv2d(part, line, padding=2)

    given, whole = tiled(blurred, x, Grid(24, 8)), blurred(x)
    assert torch.allclose(given[..., :16, :16], whole[..., :16, :16], atol=1e-6)
    assert (given - whole).abs().max() < 0.3, "at seams, ends of tiles count little"
    seam = (given - whole).abs()[..., 20, :]
    hard = (tiled(blurred, x, Grid(24, 0)) - whole).abs()[..., 23, :]
    assert seam.mean() < hard.mean()


def test_an_overlap_as_large_as_the_tile_is_refused() -> None:
    with pytest.raises(ValueError, match="an overlap of 8 in tiles of 8"):
        Grid(8, 8)


def test_each_tile_is_told_and_what_is_raised_stops() -> None:
    seen: list[tuple[int, int]] = []
    tiled(lambda part: part, planes(2), Grid(32, 8), tell=lambda *done: seen.append(done))
    assert seen == [(index, 8) for index in range(9)]

    class StopError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise StopError

    with pytest.raises(StopError):
        tiled(lambda part: part, planes(2), Grid(32, 8), tell=stop)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_memory_that_runs_out_halves_the_tiles(error: RuntimeError) -> None:
    tried: list[int] = []
    told: list[str] = []

    def run(tile: int) -> int:
        tried.append(tile)
        if tile > 128:
            raise error
        return tile

    assert first_that_fits("it", "cpu", tile_attempts(run, 512, 128), told.append) == 128
    assert tried == [512, 512, 256, 128], "at first once more, as others were let go"
    assert told == [f"it took more memory than there is: going on {how}" for how in ("once more", *HALVES)]


def test_the_smallest_tiles_and_other_errors_are_the_last_word() -> None:
    def never(tile: int) -> int:
        raise torch.OutOfMemoryError(f"at {tile}")

    with pytest.raises(
        OutOfMemoryError, match=r"it takes more memory than there is on cpu; tried: .*tiles of 128"
    ) as told:
        first_that_fits("it", "cpu", tile_attempts(never, 512, 128))
    assert "at 128" in str(told.value.__cause__)

    def broken(tile: int) -> int:
        raise RuntimeError(f"broken at {tile}")

    with pytest.raises(RuntimeError, match="broken at 512"):
        first_that_fits("it", "cpu", tile_attempts(broken, 512, 128))
    assert not is_out_of_memory(ValueError("can't allocate memory"))


def test_one_tile_is_what_the_autoencoder_gives(tiny: Loaded) -> None:
    picture = torch.rand(1, 33, 42, 3, generator=torch.Generator().manual_seed(0))
    latent = encode(tiny.vae, picture)
    assert torch.allclose(encode_tiled(tiny.vae, picture, 64, 16), latent, atol=1e-6)
    assert torch.allclose(decode_tiled(tiny.vae, latent, 64, 16), decode(tiny.vae, latent), atol=1e-6)
    with pytest.raises(ValueError, match="at least 8 pixels a side"):
        encode_tiled(tiny.vae, torch.rand(1, 7, 9, 3), 64, 16)


def test_pictures_in_tiles_are_near_to_those_in_one_piece(tiny: Loaded) -> None:
    latent = torch.randn(1, 4, 24, 24, generator=torch.Generator().manual_seed(0))
    whole = decode(tiny.vae, latent)
    errors = []
    for tile, overlap in ((64, 16), (128, 32), (160, 40)):
        parts = decode_tiled(tiny.vae, latent, tile, overlap)
        assert parts.shape == whole.shape
        errors.append((parts - whole).abs().mean().item())
    # Groups are normalised and attention is paid within a tile: the more of the picture it holds, the nearer it comes.
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.5 * whole.std()
    again = encode_tiled(tiny.vae, whole, 128, 32)
    assert (again - encode(tiny.vae, whole)).abs().mean() < 0.25 * again.std()


def test_tiles_need_a_fraction_of_the_memory(tiny: Loaded) -> None:
    latent = torch.randn(1, 4, 32, 32)
    largest: list[int] = []

    def look(module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor):
            largest.append(output.nbytes)

    with tiny.vae.network.lend() as network:
        hooks = [module.register_forward_hook(look) for module in network.modules()]
        vae = replace(tiny.vae, network=Placed(network))
        try:
            decode(vae, latent)
            whole = max(largest)
            largest.clear()
            decode_tiled(vae, latent, 64, 16)
        finally:
            for hook in hooks:
                hook.remove()
    assert max(largest) * 16 == whole  # 64 pixels a side instead of 256
