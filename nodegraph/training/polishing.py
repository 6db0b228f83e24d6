"""Teaches the decoder to draw what the UNet means.

A small UNet leaves latents a little off, and the decoder draws each slip as a wobbly edge. Here latents are noised, the
trained UNet denoises them again, and the decoder learns the picture that they came from. The encoder stays as it is,
so the UNet's latents keep their meaning.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from nodegraph.diffusion.models.clip import ClipText
from nodegraph.diffusion.models.unet import UNet
from nodegraph.diffusion.models.vae import Autoencoder
from nodegraph.diffusion.text.tokenizer import Tokenizer
from nodegraph.training import losses
from nodegraph.training.autoencoder import ReconstructionConfig, pixel_loss, to_tensor
from nodegraph.training.captions import draw_caption
from nodegraph.training.loop import Draws
from nodegraph.training.reading import tokenize
from nodegraph.training.scenes import draw_scene, render
from nodegraph.training.styles import FLAT, Style


@dataclass(frozen=True)
class PolishingConfig:
    """Say how far latents are noised (a timestep in [lowest, highest]) and in how many steps they are redrawn.

    A share of the latents, `untouched`, is decoded as encoded; `cells` is the side of the crop that is compared.
    """

    batch: int = 4
    cells: int = 16
    autocast: bool = True
    lowest: int = 100
    highest: int = 600
    steps: int = 4
    untouched: float = 0.25


class PolishingTask(nn.Module):
    """A decoder learning from latents that a trained UNet has redrawn."""

    def __init__(
        self,
        autoencoder: Autoencoder,
        unet: UNet,
        text: ClipText,
        tokenizer: Tokenizer,
        config: PolishingConfig,
        style: Style = FLAT,
    ) -> None:
        super().__init__()
        self.style = style
        self.autoencoder, self.tokenizer, self.config = autoencoder, tokenizer, config
        self.pixels = ReconstructionConfig()
        autoencoder.encoder.requires_grad_(False)
        autoencoder.quant_conv.requires_grad_(False)
        frozen = (unet.eval().requires_grad_(False), text.eval().requires_grad_(False))
        self._frozen = frozen  # in a tuple: no part of this module's state
        self.alpha_bar = losses.scaled_linear_alpha_bar()

    def loss(self, draws: Draws) -> Tensor:
        """Return the loss of a batch of new scenes, on a crop of each."""
        config, scale = self.config, self.autoencoder.config.scale_factor
        scenes = [draw_scene(draws.numpy) for _ in range(config.batch)]
        images = to_tensor(np.stack([render(scene, draws.numpy, self.style) for scene in scenes]))
        tokens = tokenize([draw_caption(scene, draws.numpy) for scene in scenes], self.tokenizer)
        with torch.no_grad():
            clean = self.autoencoder.encode(images).mode() * scale
            redrawn = self.redraw(clean, self._frozen[1](tokens).last, draws.torch)
        keep = losses.drop_rows(len(clean), config.untouched, draws.torch).view(-1, 1, 1, 1)
        latents = torch.where(keep, clean, redrawn) / scale
        return pixel_loss(*self._cropped(latents, images, draws.numpy), self.pixels)

    def redraw(self, clean: Tensor, context: Tensor, generator: torch.Generator) -> Tensor:
        """Noise scaled latents (B, C, h, w) and denoise them by DDIM (Song et al. 2021); the network predicts v."""
        config, unet = self.config, self._frozen[0]
        first = torch.randint(config.lowest, config.highest + 1, (len(clean),), generator=generator)
        x = losses.noised(clean, losses.draw_noise(clean, generator), self.alpha_bar[first])
        for step in range(config.steps):
            now, then = (first * (config.steps - k) // config.steps for k in (step, step + 1))
            share = self.alpha_bar[now].to(x).view(-1, 1, 1, 1)
            seen = x.contiguous(memory_format=torch.channels_last)
            with torch.autocast("cpu", torch.bfloat16, enabled=config.autocast):
                velocity = unet(seen, now.float(), context).float()
            denoised = share.sqrt() * x - (1 - share).sqrt() * velocity
            noise = (1 - share).sqrt() * x + share.sqrt() * velocity
            x = denoised if step == config.steps - 1 else losses.noised(denoised, noise, self.alpha_bar[then])
        return x

    def _cropped(self, latents: Tensor, images: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Decode a random crop of the latents; return it with the same crop of the images."""
        cells, scale = self.config.cells, self.autoencoder.config.downscale
        top, left = (int(rng.integers(side - cells + 1)) for side in latents.shape[2:])
        decoded = self.autoencoder.decode(latents[:, :, top : top + cells, left : left + cells])
        side = cells * scale
        return decoded, images[:, :, top * scale : top * scale + side, left * scale : left * scale + side]
