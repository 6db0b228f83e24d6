"""Trains low-rank adapters (Hu et al. 2021): the network stays as it is, what is added to some of its layers learns."""

import logging
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nodegraph.diffusion.adapters.additive import LowRank
from nodegraph.diffusion.adapters.save import save_lora
from nodegraph.diffusion.text.vocabulary import clip_tokenizer
from nodegraph.training.denoising import DenoisingConfig, DenoisingTask
from nodegraph.training.ema import EmaConfig
from nodegraph.training.evaluation import Networks
from nodegraph.training.latents import cached_scenes
from nodegraph.training.loop import CHECKPOINT, Loop, LoopConfig, averaged, follow
from nodegraph.training.styles import HOLLOW, Style

logger = logging.getLogger(__name__)

ATTENTION = r".*\.(to_[qkv]|to_out\.0|proj_in|proj_out|ff\.net\..*)"
CONVOLUTIONS = r".*\.(in_layers|out_layers)\.\d"
TEXT = r".*\.(q_proj|k_proj|v_proj|out_proj|fc1|fc2)"

LORA_LOOP = LoopConfig(
    steps=1500, learning_rate=2e-3, warmup=20, decay=600, weight_decay=0.0, ema=EmaConfig(highest=0.97)
)


@dataclass(frozen=True)
class LoraConfig:
    """Say which layers learn (regular expressions of their whole names), and at which rank.

    What is added to a layer is alpha / rank times the product of its factors.
    """

    layers: tuple[str, ...] = (ATTENTION,)
    rank: int = 4
    alpha: float = 4.0

    def __post_init__(self) -> None:
        """Refuse a rank or an alpha that cannot be meant."""
        if self.rank < 1 or self.alpha <= 0:
            raise ValueError(f"expected rank >= 1 and alpha > 0; got {self.rank} and {self.alpha}")


class Factors(nn.Module):
    """The two factors beside one layer: `down` (r, in) or (r, in, kh, kw), `up` (out, r) or (out, r, 1, 1)."""

    def __init__(self, layer: nn.Linear | nn.Conv2d, config: LoraConfig, generator: torch.Generator) -> None:
        super().__init__()
        out, *rest = layer.weight.shape
        ones = [1] * (layer.weight.ndim - 2)
        down = torch.randn((config.rank, *rest), generator=generator) * layer.weight[0].numel() ** -0.5
        self.down, self.up = nn.Parameter(down), nn.Parameter(torch.zeros(out, config.rank, *ones))
        self.scale = config.alpha / config.rank

    def forward(self, x: Tensor, layer: nn.Module) -> Tensor:
        """Return what is added to the output of the layer for its input `x`."""
        if isinstance(layer, nn.Conv2d):
            inner = F.conv2d(x, self.down, None, layer.stride, layer.padding, layer.dilation)
            return F.conv2d(inner, self.up) * self.scale
        return F.linear(F.linear(x, self.down), self.up) * self.scale


class Lora(nn.Module):
    """Low-rank changes of a network's layers, put on it by forward hooks; at first they change nothing."""

    def __init__(self, network: nn.Module, config: LoraConfig, seed: int = 0) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        chosen = _chosen(network, config.layers)
        self.layers = tuple(chosen)
        self.factors = nn.ModuleList(Factors(layer, config, generator) for layer in chosen.values())
        self._hooks = [
            layer.register_forward_hook(partial(_add, factors))
            for layer, factors in zip(chosen.values(), self.factors, strict=True)
        ]

    def changes(self) -> dict[str, LowRank]:
        """Return the changes by name of the weight that each one is of."""
        return {
            f"{name}.weight": LowRank(factors.up.detach().clone(), factors.down.detach().clone(), factors.scale)
            for name, factors in zip(self.layers, self.factors, strict=True)
            if isinstance(factors, Factors)
        }

    def take_off(self) -> None:
        """Let the network be what it was."""
        for hook in self._hooks:
            hook.remove()


def _add(
    factors: Callable[[Tensor, nn.Module], Tensor], layer: nn.Module, inputs: tuple[Tensor], output: Tensor
) -> Tensor:
    return output + factors(inputs[0], layer)


def _chosen(network: nn.Module, patterns: Collection[str]) -> dict[str, nn.Linear | nn.Conv2d]:
    """Return the layers whose names a pattern describes; raise ValueError for a pattern that describes none."""
    layers = {name: layer for name, layer in network.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)}
    chosen: dict[str, nn.Linear | nn.Conv2d] = {}
    for pattern in patterns:
        found = {name: layer for name, layer in layers.items() if re.fullmatch(pattern, name)}
        if not found:
            raise ValueError(
                f"no layer is called {pattern!r}; there are {len(layers)}, such as {next(iter(layers), '')}"
            )
        chosen |= found
    return chosen


@dataclass(frozen=True)
class LoraRecipe:
    """Everything that decides a LoRA; the defaults are what the bundled one was trained by."""

    style: Style = HOLLOW
    unet: LoraConfig = field(default_factory=lambda: LoraConfig((ATTENTION, CONVOLUTIONS), rank=8))
    text: LoraConfig | None = None
    denoising: DenoisingConfig = field(default_factory=lambda: DenoisingConfig(batch=12))
    loop: LoopConfig = LORA_LOOP
    scenes: int = 2000
    seed: int = 3


def train_lora(directory: Path, base: Networks, recipe: LoraRecipe) -> dict[str, dict[str, LowRank]]:
    """Train a LoRA for a model, going on where an earlier run stopped; return its changes by part of the model.

    The networks of `base` are as before in the end.
    """
    directory.mkdir(parents=True, exist_ok=True)
    networks = {"unet": base.unet, "clip": base.clip}
    for network in networks.values():
        network.requires_grad_(False)
    configs = {"unet": recipe.unet, "clip": recipe.text}
    loras = {part: Lora(networks[part], config, recipe.seed) for part, config in configs.items() if config}
    module = nn.ModuleDict(loras)
    data = cached_scenes(base.vae, recipe.scenes, recipe.seed, directory / "latents.pt", recipe.style)
    task = DenoisingTask(base.unet, base.clip, clip_tokenizer(), data, recipe.denoising, learn_text="clip" in loras)
    try:
        follow("lora", Loop(module, task.loss, recipe.loop, directory / "lora"))
        module.load_state_dict(averaged(directory / "lora" / CHECKPOINT))
    finally:
        for lora in loras.values():
            lora.take_off()
    return {part: lora.changes() for part, lora in loras.items()}


def export_lora(
    file: Path, changes: Mapping[str, Mapping[str, LowRank]], base: Networks, metadata: Mapping[str, str]
) -> Path:
    """Write a trained LoRA in float16 as kohya's tools do."""
    names = {"unet": base.unet, "clip": base.clip}
    return save_lora(file, changes, {part: list(names[part].state_dict()) for part in changes}, metadata=metadata)
