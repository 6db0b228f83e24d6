"""The formulas of merging against numpy."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from nodegraph.diffusion.merging import formulas

Array = NDArray[np.float64]
SHAPES = [(6,), (5, 7), (4, 3, 3, 3)]


def random(shape: Sequence[int], seed: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def arrays(*tensors: Tensor) -> tuple[Array, ...]:
    return tuple(tensor.double().numpy() for tensor in tensors)


def close(got: Tensor, expected: Array) -> None:
    np.testing.assert_allclose(got.double().numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0, 1.5])
def test_sums_and_differences(shape: tuple[int, ...], share: float) -> None:
    one, two, three = (random(shape, seed) for seed in range(3))
    before = [tensor.clone() for tensor in (one, two, three)]
    a, b, c = arrays(one, two, three)
    close(formulas.weighted_sum(one, two, share), a * (1 - share) + b * share)
    close(formulas.add_difference(one, two, three, share), a + share * (b - c))
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.abs(b - a) / (np.abs(b - c) + np.abs(b - a))
    expected = a + np.sign(b - c) * np.nan_to_num(scale) * np.abs(b - c) * share * 1.8
    close(formulas.train_difference(one, two, three, share), expected)
    assert all(torch.equal(tensor, old) for tensor, old in zip((one, two, three), before, strict=True))


def test_train_difference_adds_nothing_where_nothing_was_learned() -> None:
    a = random((8,), 0)
    assert torch.equal(formulas.train_difference(a, a, a, 1.0), a)
    assert torch.equal(formulas.train_difference(a, a + 1, a + 1, 1.0), a)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_slerp(shape: tuple[int, ...], share: float) -> None:
    one, two = random(shape, 0), random(shape, 1)
    a, b = arrays(one, two)
    angle = np.arccos((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))
    close(
        formulas.slerp(one, two, share), (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)
    )


def test_slerp_of_one_direction_is_a_line() -> None:
    one = random((9,), 0)
    close(formulas.slerp(one, one * 3, 0.5), arrays(one * 2)[0])
    close(formulas.slerp(one, -one, 0.25), arrays(one / 2)[0])
    close(formulas.slerp(torch.zeros(9), one, 0.5), arrays(one / 2)[0])


def trimmed(difference: Array, density: float) -> Array:
    keep = max(1, int(density * difference.size))
    order = np.argsort(-np.abs(difference).ravel(), kind="stable")[:keep]
    kept = np.zeros(difference.size)
    kept[order] = difference.ravel()[order]
    return kept.reshape(difference.shape)


def merged(differences: list[Array], weights: Sequence[float], elect: bool, normalize: bool) -> Array:
    weighed = [difference * weight for difference, weight in zip(differences, weights, strict=True)]
    total = np.zeros_like(weighed[0])
    for place in np.ndindex(total.shape):
        sign = 1 if sum(one[place] for one in weighed) >= 0 else -1
        agreeing = [n for n, one in enumerate(weighed) if not elect or np.sign(one[place]) == sign]
        total[place] = sum(weighed[n][place] for n in agreeing)
        divisor = sum(weights[n] for n in agreeing)
        if normalize and abs(divisor) > 1e-8:
            total[place] /= divisor
    return total


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("density", [0.01, 0.4, 1.0])
@pytest.mark.parametrize("normalize", [True, False])
def test_ties(shape: tuple[int, ...], density: float, normalize: bool) -> None:
    base, *tuned = (random(shape, seed) for seed in range(4))
    weights = (0.5, 1.0, 0.25)
    b, *t = arrays(base, *tuned)
    expected = b + 0.7 * merged([trimmed(one - b, density) for one in t], weights, True, normalize)
    close(formulas.ties(base, tuned, weights, density, scale=0.7, normalize=normalize), expected)


def test_trimming_keeps_exactly_its_share_where_magnitudes_are_equal() -> None:
    difference = torch.tensor([1.0, -1.0, 1.0, 0.5, -1.0, 2.0, 0.0, 0.0])
    assert formulas.largest(difference.clone(), 0.5).tolist() == [True, True, True, False, False, True, False, False]
    assert formulas.largest(difference.clone(), 1.0).all()
    assert formulas.largest(torch.zeros(2, 2), 0.5).tolist() == [[True, True], [False, False]]


def test_large_tensors_are_merged_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    base, tuned = random((30, 7), 0), [random((30, 7), 1), random((30, 7), 2)]
    whole = formulas.ties(base, tuned, [1.0, 0.5], 0.4)
    monkeypatch.setattr(formulas, "PIECE", 16)
    assert torch.equal(formulas.ties(base, tuned, [1.0, 0.5], 0.4), whole)
    changed = formulas.dare(base, tuned[:1], [1.0], 0.4, seed=0, name="a", rescale=False) - base
    assert 0.25 < float((changed != 0).float().mean()) < 0.55


@pytest.mark.parametrize("elect", [True, False])
@pytest.mark.parametrize("normalize", [True, False])
def test_dare(elect: bool, normalize: bool) -> None:
    base, *tuned = (random((40, 50), seed) for seed in range(3))
    weights, density = (0.6, 0.4), 0.3
    b, *t = arrays(base, *tuned)
    got = formulas.dare(base, tuned, weights, density, seed=5, name="a", elect=elect, normalize=normalize, scale=2.0)
    alone = [formulas.dare(base, [one], [1.0], density, seed=5, name="a", rescale=False) for one in tuned[:1]]
    kept = arrays(alone[0] - base)[0] != 0
    assert abs(kept.mean() - density) < 0.04
    masks = []
    for place in range(2):  # a model of zeros beside the others shows what is kept of each
        weight = [0.0, 0.0]
        weight[place] = 1.0
        shown = formulas.dare(base, tuned, weight, density, seed=5, name="a", rescale=False)
        masks.append(arrays(shown - base)[0] != 0)
    assert (masks[0] == kept).all()
    assert (masks[0] != masks[1]).any()
    differences = [(one - b) * mask / density for one, mask in zip(t, masks, strict=True)]
    close(got, b + 2 * merged(differences, weights, elect, normalize))


def test_what_dare_drops_hangs_on_seed_and_name_alone() -> None:
    base, tuned = random((20, 20), 0), [random((20, 20), 1)]
    torch.manual_seed(1)
    first = formulas.dare(base, tuned, [1.0], 0.5, seed=1, name="a")
    torch.manual_seed(2)
    assert torch.equal(first, formulas.dare(base, tuned, [1.0], 0.5, seed=1, name="a"))
    assert not torch.equal(first, formulas.dare(base, tuned, [1.0], 0.5, seed=2, name="a"))
    assert not torch.equal(first, formulas.dare(base, tuned, [1.0], 0.5, seed=1, name="b"))
