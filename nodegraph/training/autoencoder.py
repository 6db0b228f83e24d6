"""Training of the KL autoencoder on crops of scenes, and latents made white by its own 1x1 convolutions."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nodegraph.diffusion.models.vae import Autoencoder, Posterior
from nodegraph.training.loop import Draws
from nodegraph.training.scenes import SIDE, Pixels, draw_scene, paint, place
from nodegraph.training.styles import FLAT, Style


@dataclass(frozen=True)
class ReconstructionConfig:
    """Weights of the loss: absolute and squared error + edges * error of the gradients + kl * divergence."""

    batch: int = 8
    crop: int = 48
    edges: float = 0.25
    kl: float = 1e-4


@torch.no_grad()
def start_weights(autoencoder: Autoencoder, generator: torch.Generator) -> None:
    """Draw starting weights that keep the signal's variance and tell latents almost without noise.

    torch's own start shrinks the variance threefold a convolution: colours then take minutes to get through.
    """
    for name, module in autoencoder.named_modules():
        if isinstance(module, nn.Conv2d) and module.bias is not None:
            branch_end = name.endswith(("conv2", "proj_out"))
            fan_in = module.weight[0].numel()
            nn.init.normal_(module.weight, std=(0.3 if branch_end else 1.0) * fan_in**-0.5, generator=generator)
            nn.init.zeros_(module.bias)
    half = autoencoder.config.latent_channels
    if autoencoder.config.quant_conv and autoencoder.quant_conv.bias is not None:
        autoencoder.quant_conv.bias[half:] = -5.0


def kl_divergence(posterior: Posterior) -> Tensor:
    """Return KL(posterior || N(0, 1)) in nats a latent value, averaged (Kingma and Welling 2014, appendix B)."""
    mean, logvar = posterior.mean.float(), posterior.logvar.float()
    return 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()


def reconstruction_loss(
    autoencoder: Autoencoder, images: Tensor, config: ReconstructionConfig, noise: Tensor
) -> Tensor:
    """Return the loss of images (B, 3, H, W) in [-1, 1] rebuilt from latents sampled with `noise` (B, C, h, w)."""
    posterior = autoencoder.encode(images)
    latents = posterior.mean + (0.5 * posterior.logvar).exp() * noise
    return pixel_loss(autoencoder.decode(latents), images, config) + config.kl * kl_divergence(posterior)


def pixel_loss(decoded: Tensor, images: Tensor, config: ReconstructionConfig) -> Tensor:
    """Return the absolute, squared and gradient error of decoded pictures (B, 3, H, W), weighted and summed."""
    error = decoded.float() - images
    across = (error[..., 1:] - error[..., :-1]).abs().mean()
    down = (error[..., 1:, :] - error[..., :-1, :]).abs().mean()
    return error.abs().mean() + error.square().mean() + config.edges * (across + down)


def crops(draws: Draws, config: ReconstructionConfig, style: Style = FLAT) -> Tensor:
    """Draw crops (B, 3, crop, crop) in [-1, 1] of new scenes, each about an object."""
    return crops_in(draws, config, (style,))[0]


def crops_in(draws: Draws, config: ReconstructionConfig, styles: Sequence[Style]) -> list[Tensor]:
    """Draw the same crops (B, 3, crop, crop) in each style."""
    rng = draws.numpy
    taken: list[list[Pixels]] = [[] for _ in styles]
    for _ in range(config.batch):
        scene = draw_scene(rng)
        items = place(scene, rng)
        target = place(scene, rng)[int(rng.integers(len(scene.items)))]
        left, top = (about(centre, config.crop, rng) for centre in (target.x, target.y))
        for crop, style in zip(taken, styles, strict=True):
            crop.append(paint(scene, items, style)[top : top + config.crop, left : left + config.crop])
    return [to_tensor(np.stack(crop)) for crop in taken]


def about(centre: int, crop: int, rng: np.random.Generator) -> int:
    """Draw where a crop of this size begins along a side, so that an object's centre lies within it."""
    start = centre - crop // 2 + int(rng.integers(-crop // 2, crop // 2 + 1))
    return int(np.clip(start, 0, SIDE - crop))


def to_tensor(images: np.ndarray) -> Tensor:
    """Turn (B, H, W, 3) uint8 into (B, 3, H, W) in [-1, 1], stored channels last."""
    return torch.from_numpy(images).permute(0, 3, 1, 2).float().div(127.5).sub(1)


@torch.no_grad()
def psnr(autoencoder: Autoencoder, images: Tensor) -> float:
    """Return the peak signal-to-noise ratio in dB of images (B, 3, H, W) in [-1, 1] and their reconstruction."""
    error = F.mse_loss(autoencoder(images).clamp(-1, 1), images)
    return float(10 * torch.log10(4 / error))


@torch.no_grad()
def whiten(autoencoder: Autoencoder, latents: Tensor) -> None:
    """Fold an affine map into quant_conv and post_quant_conv that makes latents white.

    `latents` (B, C, h, w) are a sample of encoded means. Afterwards each channel has mean 0 and standard deviation
    1 / scale_factor and channels are uncorrelated (ZCA, so that they stay as near as can be to what they were); what
    the decoder sees does not change. The variances that the encoder tells are mapped only to first order.
    """
    flat = latents.double().movedim(1, -1).flatten(0, 2)  # (N, C)
    mean, covariance = flat.mean(0), flat.T.cov()
    values, vectors = torch.linalg.eigh(covariance)
    scale = autoencoder.config.scale_factor
    forward = vectors @ torch.diag(values.rsqrt() / scale) @ vectors.T
    backward = vectors @ torch.diag(values.sqrt() * scale) @ vectors.T
    quant, post = autoencoder.quant_conv, autoencoder.post_quant_conv
    count = latents.shape[1]
    if quant.bias is None or post.bias is None:
        raise ValueError("whitening needs biases in quant_conv and post_quant_conv")
    rows, bias = quant.weight[:count, :, 0, 0].double(), quant.bias[:count].double()
    quant.weight[:count, :, 0, 0] = (forward @ rows).float()
    quant.bias[:count] = (forward @ (bias - mean)).float()
    quant.bias[count:] += 2 * forward.diagonal().log().float()
    columns = post.weight[:, :, 0, 0].double()
    post.bias += (columns @ mean).float()
    post.weight[:, :, 0, 0] = (columns @ backward).float()
