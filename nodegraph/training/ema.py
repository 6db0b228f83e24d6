"""Exponential moving averages of weights: what a trained diffusion model is sampled with."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class EmaConfig:
    """Say how fast an average forgets.

    After n updates the decay is (1 + n) / (10 + n), or with `power` 1 - (1 + n / inverse_gamma) ** -power,
    held within [lowest, highest]; the first update copies the weights.
    """

    highest: float = 0.9999
    lowest: float = 0.0
    power: float | None = None
    inverse_gamma: float = 1.0

    def decay(self, updates: int) -> float:
        """Return the decay of the update that follows `updates` earlier ones."""
        if updates <= 0:
            return 0.0
        if self.power is None:
            decay = (1 + updates) / (10 + updates)
        else:
            decay = 1 - (1 + updates / self.inverse_gamma) ** -self.power
        return max(self.lowest, min(self.highest, decay))


class Ema:
    """The moving average of a module's parameters, kept beside the module."""

    def __init__(self, module: nn.Module, config: EmaConfig) -> None:
        self.config = config
        self.updates = 0
        self.shadow = {name: value.detach().clone() for name, value in module.named_parameters()}

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Move the average towards the module's present weights; frozen ones are copied."""
        decay = self.config.decay(self.updates)
        self.updates += 1
        averages: list[Tensor] = []
        values: list[Tensor] = []
        for name, value in module.named_parameters():
            if value.requires_grad:
                averages.append(self.shadow[name])
                values.append(value.detach())
            else:
                self.shadow[name].copy_(value)
        if averages:
            torch._foreach_lerp_(averages, values, 1 - decay)

    def state_dict(self) -> dict[str, object]:
        """Return what `load_state_dict` needs to go on."""
        return {"updates": self.updates, "shadow": dict(self.shadow)}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on from an earlier `state_dict`."""
        updates, shadow = state["updates"], state["shadow"]
        if not isinstance(updates, int) or not isinstance(shadow, dict):
            raise ValueError(f"not the state of an average: got updates={updates!r} and a {type(shadow).__name__}")
        if shadow.keys() != self.shadow.keys():
            wrong = sorted(shadow.keys() ^ self.shadow.keys())
            raise ValueError(f"the average is of another module: {len(wrong)} names differ, such as {wrong[0]}")
        self.updates = updates
        self.shadow = {name: value.clone() for name, value in shadow.items()}

    @torch.no_grad()
    def copy_to(self, module: nn.Module) -> None:
        """Give the module the averaged weights."""
        for name, value in module.named_parameters():
            value.copy_(self.shadow[name])

    @contextmanager
    def swapped_in(self, module: nn.Module) -> Iterator[None]:
        """Let the module use the averaged weights inside the block, its own again after it."""
        own = {name: value.detach().clone() for name, value in module.named_parameters()}
        self.copy_to(module)
        try:
            yield
        finally:
            with torch.no_grad():
                for name, value in module.named_parameters():
                    value.copy_(own[name])
