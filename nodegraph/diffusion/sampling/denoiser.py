"""Networks as denoisers: whatever a network predicts, its wrapper returns the clean sample.

With x = alpha * clean + sigma * noise, alpha = 1 for diffusion and 1 - sigma for flow. All sums are in x's precision;
only the network itself runs in its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

import torch
from torch import Tensor

from nodegraph.diffusion.sampling.contract import VARIANCE_EXPLODING, FlowPath, Path, Table
from nodegraph.diffusion.sampling.tables import table_of
from nodegraph.diffusion.values import Model, Prediction

Network = Callable[..., Tensor]
"""`(x (B, C, h, w), timestep (B,) float32, **inputs)` -> a prediction of x's shape."""


UNSCALED: Final[frozenset[Prediction]] = frozenset({"flow", "img_to_img"})
"""Predictions of networks that see the sample as it is."""
BOUNDARY_SHARPNESS, BOUNDARY_DEVIATION = 10.0, 0.5
"""How a consistency model turns from its input, at time 0, to its own clean sample (Luo et al. 2023, section 4)."""


class ConditionalDenoiser(Protocol):
    """A denoiser that takes the network's further inputs, such as `context` (B, T, D), by name."""

    def __call__(self, x: Tensor, sigma: float | Tensor, /, **inputs: Any) -> Tensor:
        """Return the clean sample in x's precision."""
        ...


def scaled_input(prediction: Prediction, x: Tensor, sigma: float | Tensor, sigma_data: float = 1.0) -> Tensor:
    """Return what the network sees of x at `sigma`, a number or a tensor that broadcasts to x: of unit variance."""
    return x if prediction in UNSCALED else x / (sigma**2 + sigma_data**2) ** 0.5


def clean_sample(
    prediction: Prediction, x: Tensor, output: Tensor, sigma: float | Tensor, sigma_data: float = 1.0
) -> Tensor:
    """Return the clean sample that the network's output for x at `sigma` means.

    `eps` (Ho et al. 2020), `v` (Salimans and Ho 2022), `edm` (Karras et al. 2022, table 1), `flow` (Liu et al. 2023).
    """
    match prediction:
        case "eps" | "flow" | "lcm":
            return x - output * sigma
        case "v":
            return x / (sigma**2 + 1) - output * (sigma / (sigma**2 + 1) ** 0.5)
        case "edm":
            total = sigma**2 + sigma_data**2
            return x * (sigma_data**2 / total) + output * (sigma * sigma_data / total**0.5)
        case "x0" | "img_to_img":
            return output
    raise ValueError(f"unknown prediction {prediction!r}: expected eps, v, x0, edm, flow, lcm or img_to_img")


def at_boundary(x: Tensor, clean: Tensor, timestep: Tensor) -> Tensor:
    """Return a consistency model's clean sample: near time 0, (B,), it is x itself."""
    scaled = (timestep * BOUNDARY_SHARPNESS).reshape(-1, *[1] * (x.ndim - 1)).to(x)
    total = scaled**2 + BOUNDARY_DEVIATION**2
    return clean * (scaled / total**0.5) + x * (BOUNDARY_DEVIATION**2 / total)


class NetworkDenoiser:
    """A network and what it predicts, as a denoiser that takes the conditions by name."""

    def __init__(
        self,
        network: Network,
        table: Table,
        prediction: Prediction = "eps",
        *,
        sigma_data: float = 1.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        self.table, self.prediction, self.dtype = table, prediction, dtype
        self._network, self._sigma_data = network, sigma_data

    def __call__(self, x: Tensor, sigma: float | Tensor, /, **inputs: Any) -> Tensor:
        """Return the clean sample (B, C, h, w) for x at `sigma`, a number or (B,).

        The network sees the input `concat` (B, C', h, w) in further channels after those of x.
        """
        level: float | Tensor
        if isinstance(sigma, Tensor):
            level = sigma.to(x).reshape(-1, *[1] * (x.ndim - 1))
            timestep = self.table.timestep(sigma).to(x.device).expand(x.shape[0])
        else:  # looked up on the CPU, so that nothing waits for the device
            level = sigma
            timestep = torch.full((x.shape[0],), float(self.table.timestep(sigma)), device=x.device)
        seen = scaled_input(self.prediction, x, level, self._sigma_data).to(self.dtype)
        beside = inputs.pop("concat", None)
        if beside is not None:
            seen = torch.cat([seen, beside.to(self.dtype)], dim=1)
        output = self._network(seen, timestep, **inputs).to(x.dtype)
        clean = clean_sample(self.prediction, x, output, level, self._sigma_data)
        return at_boundary(x, clean, timestep) if self.prediction == "lcm" else clean


def denoiser_of(model: Model, module: Network) -> NetworkDenoiser:
    """Return the model's denoiser around its network, which is lent."""
    table, dtype = table_of(model.schedule), model.network.dtype
    return NetworkDenoiser(module, table, model.prediction, sigma_data=model.sigma_data, dtype=dtype)


def path_of(model: Model) -> Path:
    """Return how the model mixes data with noise."""
    if model.prediction != "flow":
        return VARIANCE_EXPLODING
    return FlowPath(largest=table_of(model.schedule).percent_to_sigma(1e-4))
