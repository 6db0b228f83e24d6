"""Models at another precision than the run's."""

from __future__ import annotations

from dataclasses import replace

from nodegraph.diffusion.devices import default_dtype, parse_dtype
from nodegraph.diffusion.memory.stored import stored
from nodegraph.diffusion.values import Model


def at_precision(model: Model, dtype: str | None) -> Model:
    """Return the model with its network at a precision (`fp32`, `fp16`, `bf16`; None: the one that suits its device).

    Raises ValueError for an unknown precision, and for a network that is only in memory.
    """
    network = stored(model.network)
    precision = default_dtype(network.device) if dtype is None else parse_dtype(dtype)
    return replace(model, network=replace(network, blueprint=replace(network.blueprint, dtype=precision)))
