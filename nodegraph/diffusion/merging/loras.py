"""LoRAs made of LoRAs, and of the difference between models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from nodegraph.diffusion.adapters.additive import Full, LowRank
from nodegraph.diffusion.adapters.delta import Changes, Delta, Shape
from nodegraph.diffusion.adapters.match import Shapes
from nodegraph.diffusion.merging.lowrank import CLAMP, RankRule, low_rank, low_rank_product
from nodegraph.diffusion.merging.methods import MergeError
from nodegraph.diffusion.weights.store import Reader, Weights

TEXT_DIFFERENCE = 0.01
"""Below this largest difference kohya's tools take a text encoder to be untrained."""


class Fitted(Protocol):
    """Changes that were fitted to a model: what `match` gives, and LoRAs."""

    @property
    def entries(self) -> Changes:
        """Return the changes by part and name of the tensor."""
        ...

    @property
    def shapes(self) -> Shapes:
        """Return the shapes of the model's tensors."""
        ...


def combine_loras(
    adapters: Sequence[tuple[Fitted, float, float]], rule: RankRule | None = None, clamp: float | None = CLAMP
) -> Changes:
    """Add up adapters, each with a strength for the network and one for text encoders, to one adapter.

    Without a `rule` the factors are put side by side, which is exact and as large as all together; with one the sum is
    brought to its rank. Raises MergeError for changes that hang on the weights (DoRA, OFT, GLoRA ...).
    """
    combined: dict[str, dict[str, Delta]] = {}
    for part in dict.fromkeys(part for matched, _, _ in adapters for part in matched.entries):
        names = dict.fromkeys(name for matched, _, _ in adapters for name in matched.entries.get(part, {}))
        combined[part] = {}
        for name in names:
            terms, shape = _terms(adapters, part, name)
            combined[part][name] = _sum(f"{part}: {name}", terms, shape, rule, clamp)
    return combined


def concatenated(factors: Sequence[tuple[Tensor, Tensor]]) -> LowRank:
    """Return the sum of products of factors as one product."""
    return LowRank(torch.cat([up for up, _ in factors], 1), torch.cat([down for _, down in factors]))


@dataclass(frozen=True)
class Extraction:
    """What is taken out of the difference of models.

    `conv` is the rule for kernels wider than a cell, None leaves them out; `biases` takes biases and norms whole.
    `full` takes all whole. A part whose largest difference is not above `least` is left out.
    """

    rank: RankRule
    conv: RankRule | None = None
    biases: bool = True
    full: bool = False
    clamp: float | None = CLAMP
    least: float = 0.0


def extract_lora(
    tuned: Weights, base: Weights | None, how: Extraction, check: Callable[[str], object] | None = None
) -> dict[str, Delta]:
    """Return the changes that make the tuned part of a model of the base, tensor by tensor, without a base of nothing.

    `check` is called with each tensor's name before it is looked at; what it raises stops the extraction. Raises
    MergeError for tensors of other shapes.
    """
    with ExitStack() as stack:
        readers = [(one, stack.enter_context(one.opened())) for one in (tuned, base) if one is not None]
        names = [name for name in tuned.shapes if base is None or name in base.shapes]
        if how.least > 0 and not any(_largest(_difference(name, readers)) > how.least for name in names):
            return {}
        changes: dict[str, Delta] = {}
        for name in names:
            if check is not None:
                check(name)
            rule = _rule(name, tuned.shapes[name], how)
            if rule is None:
                continue
            difference = _difference(name, readers)
            if not bool((difference != 0).any()):
                continue
            changes[name] = Full(difference) if isinstance(rule, str) else low_rank(difference, rule, how.clamp)
        return changes


def _rule(name: str, shape: Shape, how: Extraction) -> RankRule | str | None:
    """Return how a tensor's difference is kept; None: not at all."""
    if ".embeddings." in name:
        return None  # no LoRA changes the tables of words and places
    if len(shape) < 2:
        return "whole" if how.biases else None
    if how.full:
        return "whole"
    return how.conv if len(shape) == 4 and shape[2:] != (1, 1) else how.rank


def _difference(name: str, readers: Sequence[tuple[Weights, Reader]]) -> Tensor:
    tensors = []
    for weights, reader in readers:
        tensor = torch.empty(weights.shapes[name], dtype=torch.float32)
        reader.copy(name, tensor)
        tensors.append(tensor)
    if len(tensors) == 1:
        return tensors[0]
    tuned, base = tensors
    if tuned.numel() != base.numel():
        raise MergeError(f"{name} is {list(tuned.shape)} and {list(base.shape)}: models of one kind are expected")
    return tuned - base.reshape(tuned.shape)


def _largest(difference: Tensor) -> float:
    return float(difference.abs().max()) if difference.numel() else 0.0


def _terms(
    adapters: Sequence[tuple[Fitted, float, float]], part: str, name: str
) -> tuple[list[tuple[Delta, float]], Shape]:
    terms, shape = [], Shape()
    for matched, strength, text_strength in adapters:
        delta = matched.entries.get(part, {}).get(name)
        if delta is not None:
            terms.append((delta, strength if part == "unet" else text_strength))
            shape = tuple(matched.shapes[part][name])
    return terms, shape


def _sum(
    place: str, terms: Sequence[tuple[Delta, float]], shape: Shape, rule: RankRule | None, clamp: float | None
) -> Delta:
    factors = list(_factors(terms))
    if len(factors) == len(terms):
        whole = concatenated(factors)
        return whole if rule is None else low_rank_product(whole.up, whole.down, rule, clamp)
    if not all(delta.additive for delta, _ in terms):
        raise MergeError(
            f"{place}: a change that hangs on the weights cannot be added up: bake it into a model instead"
        )
    difference = torch.zeros(shape)
    for delta, strength in terms:
        difference = delta.apply(difference, strength)
    return Full(difference) if rule is None or len(shape) < 2 else low_rank(difference, rule, clamp)


def _factors(terms: Sequence[tuple[Delta, float]]) -> Iterator[tuple[Tensor, Tensor]]:
    for delta, strength in terms:
        factors = delta.factors(strength)
        if factors is not None:
            yield factors
