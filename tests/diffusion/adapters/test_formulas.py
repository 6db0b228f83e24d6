"""Each kind of adapter, read from a file, against its formula written out in numpy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from nodegraph.diffusion.adapters.delta import Delta
from nodegraph.diffusion.adapters.read import read_adapter

Write = Callable[..., Path]
Array = NDArray[np.float64]
OUT, IN, RANK = 12, 8, 4
KERNEL = (OUT, IN, 3, 3)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


def array(tensor: Tensor) -> Array:
    return tensor.double().numpy()


def one(write: Write, tensors: dict[str, Tensor], shape: tuple[int, ...], leaf: str = "weight") -> Delta:
    adapter = read_adapter(write({f"layer.{role}": tensor for role, tensor in tensors.items()}))
    (layer,) = adapter.layers
    fitted = layer.deltas[leaf].fitted(shape)
    assert fitted is not None
    return fitted


def check(delta: Delta, weight: Tensor, strength: float, expected: Array) -> None:
    before = weight.clone()
    changed = delta.apply(weight, strength)
    assert torch.equal(weight, before)
    assert changed.shape == weight.shape
    np.testing.assert_allclose(array(changed), expected, rtol=2e-4, atol=2e-5)
    torch.testing.assert_close(delta.apply(weight, 0.0), weight)
    if (factors := delta.factors(strength)) is not None:
        up, down = (array(factor.flatten(1)) for factor in factors)
        added = array(weight) + (up @ down).reshape(weight.shape)
        np.testing.assert_allclose(added, expected, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("strength", [1.0, -0.4])
@pytest.mark.parametrize("alpha", [None, 2.0])
def test_lora_of_a_linear_layer(write: Write, alpha: float | None, strength: float) -> None:
    up, down, weight = random(OUT, RANK), random(RANK, IN), random(OUT, IN)
    tensors = {"lora_up.weight": up, "lora_down.weight": down}
    if alpha is not None:
        tensors["alpha"] = torch.tensor(alpha)
    scale = 1.0 if alpha is None else alpha / RANK
    delta = one(write, tensors, (OUT, IN))
    check(delta, weight, strength, array(weight) + strength * scale * array(up) @ array(down))
    assert delta.factors(1.0) is not None


def test_locon(write: Write) -> None:
    up, down, weight = random(OUT, RANK, 1, 1), random(RANK, IN, 3, 3), random(*KERNEL)
    tensors = {"lora_up.weight": up, "lora_down.weight": down, "alpha": torch.tensor(1.0), "scalar": torch.tensor(3.0)}
    added = np.einsum("or,rihw->oihw", array(up)[:, :, 0, 0], array(down)) * 3 / RANK
    delta = one(write, tensors, KERNEL)
    check(delta, weight, 0.5, array(weight) + 0.5 * added)
    factors = delta.factors(1.0)
    assert factors is not None
    assert (factors[0].shape, factors[1].shape) == ((OUT, RANK, 1, 1), (RANK, IN, 3, 3))


def test_locon_with_a_tucker_core(write: Write) -> None:
    up, mid, down, weight = random(OUT, 3, 1, 1), random(3, 5, 3, 3), random(5, IN, 1, 1), random(*KERNEL)
    tensors = {"lora_up.weight": up, "lora_down.weight": down, "lora_mid.weight": mid, "alpha": torch.tensor(5.0)}
    added = np.einsum("mnhw,im,nj->ijhw", array(mid), array(up)[:, :, 0, 0], array(down)[:, :, 0, 0])
    check(one(write, tensors, KERNEL), weight, 0.7, array(weight) + 0.7 * added)


def test_a_linear_lora_on_a_convolution_of_one_cell_and_the_other_way_round(write: Write) -> None:
    up, down, weight = random(OUT, RANK), random(RANK, IN), random(OUT, IN, 1, 1)
    added = (array(up) @ array(down))[:, :, None, None]
    delta = one(write, {"lora_up.weight": up, "lora_down.weight": down}, (OUT, IN, 1, 1))
    check(delta, weight, 1.0, array(weight) + added)
    factors = delta.factors(1.0)
    assert factors is not None
    assert factors[1].shape == (RANK, IN, 1, 1)
    wide = {"lora_up.weight": up[:, :, None, None], "lora_down.weight": down[:, :, None, None]}
    check(one(write, wide, (OUT, IN)), weight[:, :, 0, 0], 1.0, array(weight[:, :, 0, 0]) + added[:, :, 0, 0])


@pytest.mark.parametrize("shape", [(OUT, IN), KERNEL])
def test_loha(write: Write, shape: tuple[int, ...]) -> None:
    width = IN * (9 if len(shape) == 4 else 1)
    parts = {"hada_w1_a": (OUT, RANK), "hada_w1_b": (RANK, width), "hada_w2_a": (OUT, RANK), "hada_w2_b": (RANK, width)}
    tensors = {name: random(*size, seed=place) for place, (name, size) in enumerate(parts.items())}
    w1a, w1b, w2a, w2b = (array(tensor) for tensor in tensors.values())
    added = ((w1a @ w1b) * (w2a @ w2b) * 2 / RANK).reshape(shape)
    weight = random(*shape)
    delta = one(write, {**tensors, "alpha": torch.tensor(2.0)}, shape)
    check(delta, weight, 0.5, array(weight) + 0.5 * added)
    assert delta.factors(1.0) is None


def test_loha_with_tucker_cores(write: Write) -> None:
    sizes = {
        **{"hada_t1": (RANK, RANK, 3, 3), "hada_w1_a": (RANK, OUT), "hada_w1_b": (RANK, IN)},
        **{"hada_t2": (RANK, RANK, 3, 3), "hada_w2_a": (RANK, OUT), "hada_w2_b": (RANK, IN)},
    }
    tensors = {name: random(*size, seed=place) for place, (name, size) in enumerate(sizes.items())}
    products = []
    for half in ("1", "2"):
        t, a, b = (array(tensors[name.format(half)]) for name in ("hada_t{}", "hada_w{}_a", "hada_w{}_b"))
        products.append(np.einsum("ijkl,jr,ip->prkl", t, b, a))
    weight = random(*KERNEL)
    check(one(write, tensors, KERNEL), weight, 1.0, array(weight) + products[0] * products[1])


@pytest.mark.parametrize("pairs", ["none", "second", "both", "first"])
def test_lokr(write: Write, pairs: str) -> None:
    w1_a, w1_b = random(3, RANK), random(RANK, 2)
    w2_a, w2_b = random(4, RANK), random(RANK, 4)
    w1, w2 = random(3, 2), random(4, 4, seed=5)
    tensors, scale = {"alpha": torch.tensor(1.0)}, 1.0
    if pairs in ("first", "both"):
        tensors |= {"lokr_w1_a": w1_a, "lokr_w1_b": w1_b}
        w1, scale = w1_a @ w1_b, 1 / RANK
    else:
        tensors["lokr_w1"] = w1
    if pairs in ("second", "both"):
        tensors |= {"lokr_w2_a": w2_a, "lokr_w2_b": w2_b}
        w2, scale = w2_a @ w2_b, 1 / RANK
    else:
        tensors["lokr_w2"] = w2
    weight = random(12, 8)
    check(one(write, tensors, (12, 8)), weight, 0.6, array(weight) + 0.6 * scale * np.kron(array(w1), array(w2)))


def test_lokr_of_a_convolution_whole_and_with_a_core(write: Write) -> None:
    w1, w2, weight = random(3, 2), random(4, 4, 3, 3), random(*KERNEL)
    added = np.einsum("ab,cdhw->acbdhw", array(w1), array(w2)).reshape(KERNEL)
    check(one(write, {"lokr_w1": w1, "lokr_w2": w2}, KERNEL), weight, 1.0, array(weight) + added)
    core, a, b = random(2, 5, 3, 3), random(2, 4), random(5, 4)
    tensors = {"lokr_w1": w1, "lokr_t2": core, "lokr_w2_a": a, "lokr_w2_b": b, "alpha": torch.tensor(10.0)}
    w2 = torch.from_numpy(np.einsum("ijkl,jr,ip->prkl", array(core), array(b), array(a)))
    added = 2 * np.einsum("ab,cdhw->acbdhw", array(w1), array(w2)).reshape(KERNEL)
    check(one(write, tensors, KERNEL), weight, 1.0, array(weight) + added)


@pytest.mark.parametrize(("name", "axis"), [("dora_scale", 0), ("dora_scale", 1), ("lora_magnitude_vector", 0)])
@pytest.mark.parametrize("shape", [(OUT, IN), KERNEL])
def test_dora(write: Write, name: str, axis: int, shape: tuple[int, ...]) -> None:
    kernel = shape[2:]
    up, down = random(OUT, RANK, *(1,) * len(kernel)), random(RANK, IN, *kernel)
    size = [shape[axis] if dim == axis else 1 for dim in range(len(shape))]
    magnitude = random(*(size if name == "dora_scale" else [OUT])).abs()
    tensors = {"lora_up.weight": up, "lora_down.weight": down, "alpha": torch.tensor(2.0), name: magnitude}
    weight = random(*shape)
    changed = array(weight) + 0.5 * (array(up).reshape(OUT, -1) @ array(down).reshape(RANK, -1)).reshape(shape)
    others = tuple(dim for dim in range(len(shape)) if dim != axis)
    norm = np.sqrt((changed**2).sum(axis=others, keepdims=True))
    changed = array(magnitude).reshape(size) * changed / norm
    delta = one(write, tensors, shape)
    check(delta, weight, 1.0, changed)
    check(delta, weight, 0.3, array(weight) + 0.3 * (changed - array(weight)))
    assert delta.factors(1.0) is None


def rotations(blocks: Array, limit: float) -> Array:
    skew = blocks - np.swapaxes(blocks, -1, -2)
    norm = np.linalg.norm(skew)
    if 0 < limit < norm:
        skew = skew * limit / norm
    identity = np.eye(skew.shape[-1])
    turns: Array = (identity + skew) @ np.linalg.inv(identity - skew)
    return turns


@pytest.mark.parametrize("shape", [(OUT, IN), KERNEL])
@pytest.mark.parametrize("alpha", [None, 0.01, 100.0])
def test_oft(write: Write, shape: tuple[int, ...], alpha: float | None) -> None:
    blocks, rescale, weight = random(3, 4, 4), random(OUT, 1), random(*shape)
    tensors = {"oft_blocks": blocks, "rescale": rescale}
    if alpha is not None:
        tensors["alpha"] = torch.tensor(alpha)
    turns = rotations(array(blocks), (alpha or 0.0) * OUT)
    for strength in (1.0, 0.5):
        parts = []
        for block, turn in enumerate(turns):
            turn = strength * (turn - np.eye(4)) + np.eye(4)
            rows = array(weight)[4 * block : 4 * block + 4].reshape(4, -1)
            parts.append((turn.T @ rows).reshape(4, *shape[1:]))
        scales = 1 + strength * (array(rescale) - 1)
        expected = np.concatenate(parts) * scales.reshape(OUT, *(1,) * (len(shape) - 1))
        check(one(write, tensors, shape), weight, strength, expected)
    np.testing.assert_allclose(turns[0] @ turns[0].T, np.eye(4), atol=1e-9)


def test_boft(write: Write) -> None:
    """The first level turns neighbours, the second turns pairs that lie twice as far apart."""
    out, side = 16, 4
    blocks, weight = random(2, 4, side, side), random(out, IN)
    expected = array(weight)
    for level, turns in enumerate(rotations(array(blocks), 0.0)):
        stride = 2**level * side // 2
        order = [
            group * 2 * stride + half * stride + place
            for group in range(out // (2 * stride))
            for place in range(stride)
            for half in range(2)
        ]
        mixed = np.zeros((out, IN))
        for block, turn in enumerate(turns):
            rows = order[block * side : (block + 1) * side]
            mixed[rows] = turn @ expected[rows]
        expected = mixed
    check(one(write, {"oft_blocks": blocks}, (out, IN)), weight, 1.0, expected)


@pytest.mark.parametrize("order", ["new", "old"])
def test_glora(write: Write, order: str) -> None:
    weight, alpha = random(OUT, IN), torch.tensor(2.0)
    a1, a2, b1, b2 = random(IN, RANK), random(RANK, IN), random(OUT, RANK), random(RANK, IN, seed=3)
    expected = array(weight) + 0.5 * (array(weight) @ array(a1) @ array(a2) + array(b1) @ array(b2))
    pairs = (a1, a2, b1, b2) if order == "new" else (a2, a1, b2, b1)
    tensors = {f"{name}.weight": tensor for name, tensor in zip(("a1", "a2", "b1", "b2"), pairs, strict=True)}
    check(one(write, {**tensors, "alpha": alpha}, (OUT, IN)), weight, 1.0, expected)


def test_full_differences_norms_and_replacements(write: Write) -> None:
    weight, bias = random(OUT, IN), random(OUT)
    diff, diff_b = random(OUT, IN, seed=1), random(OUT, seed=1)
    tensors = {"diff": diff, "diff_b": diff_b}
    check(one(write, tensors, (OUT, IN)), weight, -0.5, array(weight) - 0.5 * array(diff))
    check(one(write, tensors, (OUT,), "bias"), bias, 2.0, array(bias) + 2 * array(diff_b))
    norms = {"w_norm": diff_b, "b_norm": bias}
    check(one(write, norms, (OUT,)), bias, 1.0, array(bias) + array(diff_b))
    check(one(write, norms, (OUT,), "bias"), bias, 1.0, 2 * array(bias))
    check(one(write, {"set_weight": diff}, (OUT, IN)), weight, 1.0, array(diff))


@pytest.mark.parametrize("on_input", [False, True])
def test_ia3(write: Write, on_input: bool) -> None:
    scales, weight = random(IN if on_input else OUT), random(OUT, IN)
    tensors = {"weight": scales, "on_input": torch.tensor(on_input)}
    wide = array(scales)[None, :] if on_input else array(scales)[:, None]
    check(one(write, tensors, (OUT, IN)), weight, 0.5, array(weight) * (1 + 0.5 * wide))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_tensors_stored_at_less_precision_are_summed_in_single(write: Write, dtype: torch.dtype) -> None:
    up, down, weight = random(OUT, RANK).to(dtype), random(RANK, IN).to(dtype), random(OUT, IN)
    delta = one(write, {"lora_up.weight": up, "lora_down.weight": down}, (OUT, IN))
    check(delta, weight, 1.0, array(weight) + array(up.float()) @ array(down.float()))
    assert delta.apply(weight, 1.0).dtype == torch.float32
    assert {tensor.dtype for tensor in delta.tensors} == {dtype}
