"""The training task of a text-conditioned latent diffusion UNet on latents kept in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from nodegraph.diffusion.models.clip import ClipText
from nodegraph.diffusion.models.unet import UNet
from nodegraph.diffusion.text.tokenizer import Tokenizer
from nodegraph.training import losses
from nodegraph.training.captions import draw_caption
from nodegraph.training.loop import Draws
from nodegraph.training.reading import tokenize
from nodegraph.training.scenes import Scene


@dataclass(frozen=True)
class DenoisingConfig:
    """Say what is predicted and how steps are drawn and weighted.

    `power` below 1 leans timesteps to noisy ones; `gamma` caps the signal-to-noise ratio in the weight, None turns
    weights off; `drop` is the chance that a caption is left empty; `autocast` computes in bfloat16.
    """

    prediction: losses.Prediction = "v"
    batch: int = 24
    power: float = 0.8
    gamma: float | None = None
    drop: float = 0.1
    noise: losses.NoiseConfig = field(default_factory=losses.NoiseConfig)
    autocast: bool = True


@dataclass(frozen=True)
class LatentScenes:
    """Scenes with their encoded pictures: latents (N, C, h, w), scaled to unit variance."""

    scenes: Sequence[Scene]
    latents: Tensor


class DenoisingTask(nn.Module):
    """A UNet learning to denoise latents of captioned scenes; the text encoder's weights stay as they are.

    `learn_text` lets gradients through the text encoder, to what is put on it.
    """

    def __init__(
        self,
        unet: UNet,
        text: ClipText,
        tokenizer: Tokenizer,
        data: LatentScenes,
        config: DenoisingConfig,
        *,
        learn_text: bool = False,
    ) -> None:
        super().__init__()
        self.unet, self.config, self.data, self.tokenizer = unet, config, data, tokenizer
        self.learn_text = learn_text
        self._frozen = (text.eval().requires_grad_(False),)  # in a tuple: no part of this module's state
        self.alpha_bar = losses.scaled_linear_alpha_bar()

    def loss(self, draws: Draws) -> Tensor:
        """Return the loss of a batch of cached latents under freshly worded captions."""
        config, generator = self.config, draws.torch
        rows = torch.randint(len(self.data.scenes), (config.batch,), generator=generator)
        clean = self.data.latents[rows]
        context = self.context(rows, draws)
        timesteps = losses.draw_timesteps(config.batch, generator, config.power)
        share = self.alpha_bar[timesteps]
        noise = losses.draw_noise(clean, generator, config.noise)
        seen = losses.noised(clean, noise, share).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=config.autocast):
            output = self.unet(seen, timesteps.float(), context)
        target = losses.diffusion_target(config.prediction, clean, noise, share)
        return losses.weighted_error(output, target, losses.snr_weight(config.prediction, share, config.gamma))

    def context(self, rows: Tensor, draws: Draws) -> Tensor:
        """Encode a caption of each row (B,) as (B, T, D); some are left empty."""
        captions = [draw_caption(self.data.scenes[row], draws.numpy) for row in rows.tolist()]
        dropped = losses.drop_rows(len(captions), self.config.drop, draws.torch).tolist()
        told = ["" if drop else caption for drop, caption in zip(dropped, captions, strict=True)]
        text = self._frozen[0]
        with torch.set_grad_enabled(self.learn_text):
            context: Tensor = text(tokenize(told, self.tokenizer, text.config.length)).last
        return context
