"""Canny's edges, against the same steps written as loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage

from nodegraph.diffusion.edges import canny

Plane = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
STEPS = [(0, 1), (1, 1), (1, 0), (1, -1), (0, -1), (-1, -1), (-1, 0), (-1, 1)]


def by_loops(rgb: Plane, low: float, high: float) -> Plane:
    """Canny's algorithm on (3, H, W), a place at a time."""
    grey = np.tensordot(np.array([0.299, 0.587, 0.114]), rgb, 1)
    line = np.exp(-(np.arange(-2, 3) ** 2) / 2)
    line /= line.sum()
    smooth = ndimage.convolve1d(ndimage.convolve1d(grey, line, 0, mode="mirror"), line, 1, mode="mirror")
    across, down = (ndimage.sobel(smooth, axis, mode="nearest") for axis in (1, 0))
    size = np.sqrt(across**2 + down**2 + 1e-6)
    outside = np.pad(size, 1)
    kept = np.zeros_like(size)
    for y in range(size.shape[0]):
        for x in range(size.shape[1]):
            direction = round(math.atan2(down[y, x], across[y, x]) / (math.pi / 4)) % 8
            pair = [STEPS[direction], STEPS[(direction + 4) % 8]]
            if all(size[y, x] > outside[y + 1 + dy, x + 1 + dx] for dy, dx in pair):
                kept[y, x] = size[y, x]
    labels, _ = ndimage.label(kept > low, structure=np.ones((3, 3)))
    strong = np.unique(labels[(kept > high) & (labels > 0)])
    edges: Plane = np.isin(labels, strong) * (labels > 0) * 1.0
    return edges


@pytest.mark.parametrize(("low", "high"), [(0.1, 0.3), (0.4, 0.8), (0.2, 0.2)])
def test_edges_are_those_of_the_algorithm(low: float, high: float) -> None:
    noise = np.random.default_rng(3).random((3, 24, 20))
    rgb = np.stack([ndimage.gaussian_filter(plane, 1.2) for plane in noise])
    rgb = (rgb - rgb.min()) / (rgb.max() - rgb.min())
    given = canny(torch.from_numpy(rgb).float()[None], low, high)[0, 0].numpy()
    assert given.shape == (24, 20)
    assert 0 < given.sum() < given.size / 2
    assert np.array_equal(given, by_loops(rgb, low, high))


def test_a_plain_picture_has_no_edges_and_a_box_has_its_outline() -> None:
    assert not canny(torch.full((1, 3, 12, 12), 0.4), 0.1, 0.2).any()
    box = torch.zeros(1, 1, 20, 20)
    box[..., 6:14, 6:14] = 1.0
    edges = canny(box, 0.4, 0.8)[0, 0]
    assert edges[10].nonzero().flatten().tolist() in ([5, 14], [6, 13], [5, 13], [6, 14])
    assert not edges[8:12, 8:12].any()


def test_thresholds_in_the_wrong_order_are_told() -> None:
    with pytest.raises(ValueError, match=r"low_threshold is 0\.8, expected at most"):
        canny(torch.zeros(1, 3, 8, 8), 0.8, 0.4)


def test_the_search_for_what_hangs_together_can_be_stopped() -> None:
    told: list[int] = []

    def check() -> None:
        told.append(len(told))
        if len(told) == 3:
            raise InterruptedError

    line = torch.zeros(1, 1, 9, 60)
    line[..., 4:, :] = torch.linspace(0.3, 1.0, 60)
    with pytest.raises(InterruptedError):
        canny(line, 0.05, 0.9, check)
    assert len(told) == 3
