"""Classifier-free guidance (Ho and Salimans 2022): prompts to follow and to avoid, made into one denoiser.

What does not change from step to step, weights and concatenated embeddings, is prepared once for each set of prompts
that hold together; a step then is as few network calls as shapes allow, one for an ordinary pair of prompts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from nodegraph.diffusion.sampling.contract import NEGATIVE, POSITIVE, Call, GuidanceRule, Moment, SidesRule, Table
from nodegraph.diffusion.sampling.denoiser import ConditionalDenoiser
from nodegraph.diffusion.sampling.regions import Box, box_of, crop, on_grid, to_batch, weight_of, with_matching_areas
from nodegraph.diffusion.values import Conditioning, ConditioningEntry

if TYPE_CHECKING:
    from nodegraph.diffusion.options.scene import Stage

MOST_REPEATS = 4
"""Embeddings of different length share a call if repeating the shortest so often suffices."""
NO_WEIGHT = 1e-37
"""What the weights at a place are at least, so that a place without a prompt becomes zero, not NaN."""


@dataclass(frozen=True)
class _Part:
    """A prompt ready to run: which side it is on, its inputs (B, ...), where and while which levels it holds."""

    side: str
    inputs: Mapping[str, Tensor]
    box: Box | None
    weight: float | Tensor
    highest: float
    lowest: float


@dataclass(frozen=True)
class _Share:
    """How the clean sample of a part enters the sum of its side."""

    side: str
    box: Box | None
    weight: float | Tensor


@dataclass(frozen=True)
class _Call:
    """A call of the network for several parts at once; `numbers` are their places among all of them."""

    shares: tuple[_Share, ...]
    numbers: tuple[int, ...]
    inputs: Mapping[str, Tensor]


class Sides:
    """The clean samples that several conditionings, the sides, lead to, by name.

    Built for samples like `like` (B, C, h, w); embeddings are moved to its device in the precision `dtype`. The areas
    of the sides are matched, so that what is compared is the same crop. `stage` is told what each call is for.
    """

    def __init__(
        self,
        denoise: ConditionalDenoiser,
        sides: Mapping[str, Conditioning],
        *,
        table: Table,
        like: Tensor,
        dtype: torch.dtype = torch.float32,
        stage: Stage | None = None,
    ) -> None:
        self._denoise, self._like, self._stage = denoise, like, stage
        height, width = like.shape[-2:]
        placed = {
            name: tuple(on_grid(entry, height, width) for entry in conditioning.entries)
            for name, conditioning in sides.items()
        }
        self._parts = []
        for name, entries in placed.items():
            for other, others in placed.items():
                entries = entries if other == name else with_matching_areas(entries, others)
            self._parts += [_part(entry, name, table, like, dtype) for entry in entries]
        self._plans: dict[tuple[int, ...], list[_Call]] = {}

    def __call__(
        self, x: Tensor, sigma: float | Tensor, names: Iterable[str], purpose: str = "", **inputs: Any
    ) -> dict[str, Tensor]:
        """Return the sides' clean samples, zero where no prompt holds at the largest `sigma`.

        `inputs` are given to the network beside the prompts' own.
        """
        names = tuple(names)
        sums: dict[str, Tensor] = {}
        for call in self._plan(highest(sigma), names):
            crops = [crop(x, share.box) for share in call.shares]
            several = sigma.repeat(len(crops)) if isinstance(sigma, Tensor) and sigma.ndim else sigma
            joined = torch.cat(crops) if len(crops) > 1 else crops[0]
            if self._stage is not None:
                whose = tuple((share.side, share.box) for share in call.shares)
                self._stage.call = Call(highest(sigma), whose, purpose, call.numbers)
            cleans = self._denoise(joined, several, **call.inputs, **inputs)
            for share, clean in zip(call.shares, cleans.chunk(len(crops)), strict=True):
                sums[share.side] = _added(sums.get(share.side), clean, share, x)
        return {name: sums[name] if name in sums else torch.zeros_like(x) for name in names}

    def _plan(self, sigma: float, names: tuple[str, ...]) -> list[_Call]:
        """Return the calls for the parts of the sides that hold at `sigma`."""
        active = tuple(
            i for i, part in enumerate(self._parts) if part.side in names and part.lowest <= sigma <= part.highest
        )
        if active not in self._plans:
            parts = [self._parts[i] for i in active]
            sides = [[part for part in parts if part.side == name] for name in dict.fromkeys(p.side for p in parts)]
            shares = [share for side in sides for share in _shares(side, self._like)]
            self._plans[active] = [
                _Call(
                    tuple(shares[i] for i in group),
                    tuple(active[i] for i in group),
                    _joined([parts[i].inputs for i in group]),
                )
                for group in _groups(parts)
            ]
        return self._plans[active]


class Guided:
    """A denoiser guided towards one conditioning and away from another with the strength `cfg`.

    Built for samples like `like` (B, C, h, w). At cfg 1 the negative conditioning is not computed unless it is asked
    for. `rules` change what guidance leads to, one after the other; `start` and `end` are the shares of sampling
    between which there is guidance at all. `prepare` is given each conditioning, those of the rules too. `stage` tells
    the options inside of the network what its calls are for.
    """

    def __init__(
        self,
        denoise: ConditionalDenoiser,
        positive: Conditioning,
        negative: Conditioning,
        cfg: float,
        *,
        table: Table,
        like: Tensor,
        dtype: torch.dtype = torch.float32,
        rules: Sequence[GuidanceRule | SidesRule] = (),
        start: float = 0.0,
        end: float = 1.0,
        prepare: Callable[[Conditioning], Conditioning] = lambda conditioning: conditioning,
        stage: Stage | None = None,
    ) -> None:
        self._cfg, self._rules, self._stage = cfg, tuple(rules), stage
        self._memory: dict[type, Any] = {}
        self._further = {name: prompt for rule in rules for name, prompt in rule.prompts.items()}
        sides = {POSITIVE: positive, NEGATIVE: negative, **self._further}
        ready = {name: prepare(conditioning) for name, conditioning in sides.items()}
        self._sides = Sides(denoise, ready, table=table, like=like, dtype=dtype, stage=stage)
        self._highest, self._lowest = table.percent_to_sigma(start), table.percent_to_sigma(end)

    def __call__(self, x: Tensor, sigma: float | Tensor, /) -> Tensor:
        """Return the clean sample; the prompts that hold are chosen by the largest `sigma`."""
        return self._clean(x, sigma, ())[0]

    def both(self, x: Tensor, sigma: float | Tensor, /) -> tuple[Tensor, Tensor]:
        """Return the clean sample and that of the negative conditioning, which is computed at any cfg."""
        clean, sides = self._clean(x, sigma, (NEGATIVE,))
        return clean, sides[NEGATIVE]

    def _clean(self, x: Tensor, sigma: float | Tensor, wanted: tuple[str, ...]) -> tuple[Tensor, Mapping[str, Tensor]]:
        guided = self._lowest <= highest(sigma) <= self._highest
        rules = self._rules if guided else ()
        cfg = self._cfg if guided else 1.0
        one_sided = math.isclose(cfg, 1.0)
        if not one_sided or any(rule.two_sided for rule in rules):
            wanted = (NEGATIVE,)
        if self._stage is not None:
            self._stage.notes.clear()
        sides: Mapping[str, Tensor]
        sides = self._sides(x, sigma, (POSITIVE, *wanted, *(self._further if guided else ())))

        def again(x: Tensor, side: str, purpose: str = "", **inputs: Any) -> Tensor:
            return self._sides(x, sigma, (side,), purpose, **inputs)[side]

        notes = {} if self._stage is None else self._stage.notes
        for rule in rules:
            if isinstance(rule, SidesRule):
                moment = Moment(x, sigma, cfg, sides[POSITIVE], sides, again, notes, self._memory)
                sides = {**sides, **rule.sides(moment)}
        clean = sides[POSITIVE]
        if not one_sided:
            clean = torch.add(sides[NEGATIVE], clean - sides[NEGATIVE], alpha=cfg)
        for rule in rules:
            if not isinstance(rule, SidesRule):
                clean = rule(Moment(x, sigma, cfg, clean, sides, again, notes, self._memory))
        return clean, sides


def highest(sigma: float | Tensor) -> float:
    """Return the largest of some levels."""
    return float(sigma.max()) if isinstance(sigma, Tensor) else sigma


def _part(entry: ConditioningEntry, side: str, table: Table, like: Tensor, dtype: torch.dtype) -> _Part:
    batch, _, height, width = like.shape
    box = box_of(entry.area, height, width)
    weight = weight_of(entry, box, height, width)
    if isinstance(weight, Tensor):
        weight = to_batch(weight, batch if weight.shape[0] > 1 else 1).to(like.device, torch.float32)
    inputs = {
        name: to_batch(tensor, batch).to(like.device, dtype)
        for name, tensor in {"context": entry.embedding, **entry.extras}.items()
    }
    if "concat" in inputs:
        inputs["concat"] = crop(inputs["concat"], box)
    highest, lowest = table.percent_to_sigma(entry.start), table.percent_to_sigma(entry.end)
    return _Part(side, inputs, box, weight, highest, lowest)


def _shares(parts: Sequence[_Part], like: Tensor) -> list[_Share]:
    """Return each part's share in the weighted mean of its side."""
    if all(part.box is None and isinstance(part.weight, float) for part in parts):
        total = sum(part.weight for part in parts) + NO_WEIGHT
        return [_Share(part.side, None, part.weight / total) for part in parts]
    total = torch.full((like.shape[0], 1, *like.shape[-2:]), NO_WEIGHT, device=like.device)
    for part in parts:
        crop(total, part.box).add_(part.weight)
    return [_Share(part.side, part.box, part.weight / crop(total, part.box)) for part in parts]


def _groups(parts: Sequence[_Part]) -> list[list[int]]:
    """Return which parts, by index, run in one call: crops of one size, embeddings that can be repeated to match."""
    groups: list[list[int]] = []
    for i, part in enumerate(parts):
        for group in groups:
            if _fit([parts[j] for j in group], part):
                group.append(i)
                break
        else:
            groups.append([i])
    return groups


def _fit(group: Sequence[_Part], part: _Part) -> bool:
    first = group[0]
    if (first.box and first.box[2:]) != (part.box and part.box[2:]) or first.inputs.keys() != part.inputs.keys():
        return False
    for name, tensor in part.inputs.items():
        if name == "context":
            lengths = [other.inputs[name].shape[1] for other in (*group, part)]
            if tensor.shape[2] != first.inputs[name].shape[2] or math.lcm(*lengths) > MOST_REPEATS * min(lengths):
                return False
        elif tensor.shape != first.inputs[name].shape:
            return False
    return True


def _joined(inputs: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the inputs one after another in the batch, contexts repeated to one length.

    Attention over a repeated context is the same: each token's weight is split among its copies.
    """
    if len(inputs) == 1:
        return dict(inputs[0])
    length = math.lcm(*(each["context"].shape[1] for each in inputs))
    contexts = [each["context"].repeat(1, length // each["context"].shape[1], 1) for each in inputs]
    others = {name: torch.cat([each[name] for each in inputs]) for name in inputs[0] if name != "context"}
    return {"context": torch.cat(contexts), **others}


def _added(total: Tensor | None, clean: Tensor, share: _Share, like: Tensor) -> Tensor:
    """Return the sum of a side so far and a part's clean sample times its share."""
    if isinstance(share.weight, Tensor) or share.weight != 1.0:
        clean = clean * share.weight
    if share.box is None:
        return clean if total is None else total + clean
    total = torch.zeros_like(like) if total is None else total.clone()
    crop(total, share.box).add_(clean)
    return total
