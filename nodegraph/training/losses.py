"""What a diffusion network is trained to say: noise, velocity or flow targets, and how steps are weighted.

`alpha_bar` is the share of signal variance of the variance-preserving process (Ho et al. 2020, eq. 4):
x_t = sqrt(alpha_bar) * clean + sqrt(1 - alpha_bar) * noise. Flow matching mixes by sigma:
(1 - sigma) * clean + sigma * noise.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Prediction = Literal["eps", "v", "x0"]
STEPS = 1000


@dataclass(frozen=True)
class NoiseConfig:
    """Ways to draw noise; all strengths 0 is plain Gaussian noise.

    `offset` adds a constant to each channel, so that overall brightness is learnt. `perturbation` blurs what the
    network sees, not what it shall say (Ning et al. 2023).
    """

    offset: float = 0.0
    perturbation: float = 0.0


def scaled_linear_alpha_bar(steps: int = STEPS, first: float = 0.00085, last: float = 0.012) -> Tensor:
    """Return the signal shares (steps,) of Stable Diffusion's schedule, in float64."""
    betas = torch.linspace(first**0.5, last**0.5, steps, dtype=torch.float64).square()
    return (1 - betas).cumprod(0)


def draw_noise(like: Tensor, generator: torch.Generator, config: NoiseConfig | None = None) -> Tensor:
    """Draw noise shaped like `like` (B, C, H, W)."""
    noise = torch.randn(like.shape, generator=generator)
    if config is not None and config.offset:
        noise += config.offset * torch.randn((*like.shape[:2], 1, 1), generator=generator)
    return noise.to(like)


def noised(clean: Tensor, noise: Tensor, alpha_bar: Tensor) -> Tensor:
    """Mix clean samples and noise (B, C, H, W) by alpha_bar (B,)."""
    share = _over(alpha_bar, clean)
    return share.sqrt() * clean + (1 - share).sqrt() * noise


def diffusion_target(prediction: Prediction, clean: Tensor, noise: Tensor, alpha_bar: Tensor) -> Tensor:
    """Return what the network shall say; `v` is the velocity of Salimans and Ho (2022, appendix D)."""
    if prediction == "eps":
        return noise
    if prediction == "x0":
        return clean
    share = _over(alpha_bar, clean)
    return share.sqrt() * noise - (1 - share).sqrt() * clean


def snr_weight(prediction: Prediction, alpha_bar: Tensor, gamma: float | None = 5.0) -> Tensor:
    """Return min-SNR weights (B,) for a squared error (Hang et al. 2023, eq. 8 to 10); None weights all alike."""
    if gamma is None:
        return torch.ones_like(alpha_bar)
    snr = alpha_bar / (1 - alpha_bar)
    capped = snr.clamp(max=gamma)
    return {"eps": capped / snr, "v": capped / (snr + 1), "x0": capped}[prediction]


def weighted_error(output: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Average squared errors (B, C, H, W) in float32, each sample times its weight (B,)."""
    error = (output.float() - target.float()).square().flatten(1).mean(1)  # (B,)
    return (error * weight.float()).mean()


def flow_noised(clean: Tensor, noise: Tensor, sigma: Tensor) -> Tensor:
    """Mix clean samples and noise (B, C, H, W) along straight lines by sigma (B,) in [0, 1] (Lipman et al. 2023)."""
    share = _over(sigma, clean)
    return (1 - share) * clean + share * noise


def flow_target(clean: Tensor, noise: Tensor) -> Tensor:
    """Return the velocity of the straight line from clean to noise."""
    return noise - clean


def logit_normal(count: int, generator: torch.Generator, mean: float = 0.0, spread: float = 1.0) -> Tensor:
    """Draw sigmas (count,) in (0, 1) as a logistic of Gaussians (Esser et al. 2024, section 3.1)."""
    return torch.sigmoid(mean + spread * torch.randn(count, generator=generator))


def draw_timesteps(count: int, generator: torch.Generator, power: float = 1.0, steps: int = STEPS) -> Tensor:
    """Draw timesteps (count,) in 0 to steps - 1: uniform, or leaning to noisy steps where `power` is below 1."""
    uniform = torch.rand(count, generator=generator, dtype=torch.float64)
    return (uniform**power * steps).long().clamp(max=steps - 1)


def drop_rows(count: int, chance: float, generator: torch.Generator) -> Tensor:
    """Choose rows (count,) whose condition is left out, for classifier-free guidance (Ho and Salimans 2022)."""
    return torch.rand(count, generator=generator) < chance


def _over(values: Tensor, like: Tensor) -> Tensor:
    return values.to(like).reshape(-1, *[1] * (like.ndim - 1))
